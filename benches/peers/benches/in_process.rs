//! One call in process on one thread, with the same token, as ratios to the unguarded handler.

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
        let forged = format!("{}AAAA", &bearer[..bearer.len() - 4]);
        println!("{group}: a token of {} bytes", bearer.len() - "Bearer ".len());
        let mut group = c.benchmark_group(group);
        for name in NAMES {
            let app = runtime.block_on(app(name, &idp, algorithm));
            let refused = runtime.block_on(app.call(&forged));
            let expected =
                if name == "unguarded" { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
            assert_eq!(refused, expected, "{name} must refuse a forged token");
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
