//! The decision alone, which takes nanoseconds. Verifying a token takes microseconds.

use criterion::Criterion;
use std::hint::black_box;
use stepup_benches::{criterion, print_ratios};
use stepup_contract::{Authentication, Evidence, Method, Requirement, decide};

fn benches(c: &mut Criterion) {
    let standard = Requirement::default();
    let mut methods = Requirement::default();
    methods.methods = vec![Method::Mfa];
    methods.max_age = Some(300);
    let mut everything = methods.clone();
    everything.any_methods = vec![Method::Hwk, Method::Face];
    everything.acr = vec!["urn:bank:silver".into(), "urn:bank:gold".into()];
    everything.scopes = vec!["payments:approve".into(), "payments:read".into()];
    let mut strong = Authentication::default();
    strong.methods = [Method::Pwd, Method::Face, Method::Mfa].into_iter().collect();
    strong.acr = vec!["urn:bank:gold".into()];
    strong.auth_time = Some(1_800_000_000);
    strong.scopes = ["openid", "payments:read", "payments:approve"].map(str::to_owned).to_vec();
    strong.may_step_up = true;
    strong.clock_skew = 30;
    let mut weak = Authentication::default();
    weak.may_step_up = true;
    let mut group = c.benchmark_group("decide");
    for (name, requirement, authentication) in [
        ("standard", &standard, &strong),
        ("methods-and-max-age", &methods, &strong),
        ("everything", &everything, &strong),
        ("everything-refused", &everything, &weak),
    ] {
        let evidence = Evidence::of(authentication);
        group.bench_function(name, |b| {
            b.iter(|| {
                decide(black_box(requirement), black_box(&evidence), black_box(1_800_000_100))
            });
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = criterion();
    benches(&mut criterion);
    criterion.final_summary();
    print_ratios(
        "decide",
        &["standard", "methods-and-max-age", "everything", "everything-refused"],
    );
}
