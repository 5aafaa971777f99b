//! One in-process call on one thread with the same token, and ratios to the unguarded handler.

use criterion::Criterion;
use http::StatusCode;
use stepup_bench_peers::{NAMES, app, install_fast_backend};
use stepup_benches::{criterion, print_ratios, token};
use stepup_runtime::testing::{TestAlgorithm, TestIssuer};
use tokio::runtime::Builder;

const ALGORITHMS: [(&str, TestAlgorithm); 2] =
    [("peers-RS256", TestAlgorithm::Rs256), ("peers-ES256", TestAlgorithm::Es256)];

fn benches(c: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    for (group, algorithm) in ALGORITHMS {
        let idp = runtime.block_on(TestIssuer::start_with(algorithm)).expect("an issuer");
        let bearer = format!("Bearer {}", token(&idp));
        let wrong = |name: &str, value: &str| {
            format!(
                "Bearer {}",
                idp.token().claim(name, value).claim("scope", "payments:read").mint()
            )
        };
        let bad = [
            ("a forged signature", format!("{}AAAA", &bearer[..bearer.len() - 4])),
            ("another issuer", wrong("iss", "https://other.example")),
            ("another audience", wrong("aud", "https://other.example")),
            ("an expired token", {
                let hour_ago = idp.token_at(1_700_000_000).claim("scope", "payments:read").mint();
                format!("Bearer {hour_ago}")
            }),
        ];
        println!("{group}: a token of {} bytes", bearer.len() - "Bearer ".len());
        let mut group = c.benchmark_group(group);
        for name in NAMES {
            let app = runtime.block_on(app(name, &idp, algorithm));
            let accepted: Vec<&str> = bad
                .iter()
                .filter(|(_, token)| runtime.block_on(app.call(token)) == StatusCode::OK)
                .map(|(label, _)| *label)
                .collect();
            if name.starts_with("stepup") {
                assert_eq!(accepted, [""; 0], "{name}");
            } else {
                println!("{name} accepts: {accepted:?}");
            }
            group.bench_function(name, |b| {
                b.iter(|| assert_eq!(runtime.block_on(app.call(&bearer)), StatusCode::OK));
            });
        }
        group.finish();
    }
}

fn main() {
    install_fast_backend();
    let mut criterion = criterion();
    benches(&mut criterion);
    criterion.final_summary();
    for (group, _) in ALGORITHMS {
        print_ratios(group, &NAMES);
    }
}
