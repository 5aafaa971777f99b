//! The decision alone: nanoseconds beside the token's verification.

use criterion::Criterion;
use std::hint::black_box;
use stepup_benches::{criterion, print_ratios};
use stepup_contract::{Authentication, Evidence, Method, Requirement, decide};

fn benches(c: &mut Criterion) {
    let standard = Requirement::default();
    let methods =
        Requirement { methods: vec![Method::Mfa], max_age: Some(300), ..Requirement::default() };
    let everything = Requirement {
        any_methods: vec![Method::Hwk, Method::Face],
        acr: vec!["urn:bank:silver".into(), "urn:bank:gold".into()],
        scopes: vec!["payments:approve".into(), "payments:read".into()],
        ..methods.clone()
    };
    let strong = Authentication {
        methods: [Method::Pwd, Method::Face, Method::Mfa].into_iter().collect(),
        acr: vec!["urn:bank:gold".into()],
        auth_time: Some(1_800_000_000),
        scopes: ["openid", "payments:read", "payments:approve"].map(str::to_owned).to_vec(),
        may_step_up: true,
        clock_skew: 30,
    };
    let weak = Authentication { may_step_up: true, ..Authentication::default() };
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
