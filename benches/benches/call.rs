//! One in-process call of an axum router: without a guard, and with a guard at a standard and at a
//! sensitive endpoint. The token is either cached or verified on each call. All cases use the same handler,
//! the same token and one thread.
#![expect(clippy::expect_used, reason = "a bench fails by panicking")]

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use criterion::Criterion;
use http::{Request, StatusCode};
use stepup_benches::{criterion, print_ratios, token};
use stepup_runtime::testing::{TestAlgorithm, TestIssuer};
use stepup_runtime::{StepUp, TokenCache, routes, step_up};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

async fn unguarded() -> &'static str {
    "hello"
}

#[step_up(get = "/standard", trust = "standard")]
async fn standard() -> &'static str {
    "hello"
}

#[step_up(get = "/sensitive", methods = ["mfa"], max_age = 3000)]
async fn sensitive() -> &'static str {
    "hello"
}

fn setup(runtime: &Runtime, algorithm: TestAlgorithm) -> (Router, Router, String) {
    runtime.block_on(async {
        let idp = TestIssuer::start_with(algorithm).await.expect("an issuer");
        let app = |cache| {
            let issuer = idp.issuer().jwks(idp.jwks());
            let step_up = StepUp::builder().issuer(issuer).token_cache(cache).build();
            async {
                let guarded: Router<StepUp> = routes![standard, sensitive];
                let app = guarded.route("/unguarded", get(unguarded));
                app.with_state(step_up.await.expect("built"))
            }
        };
        let (cached, cold) = (app(TokenCache::default()).await, app(TokenCache::off()).await);
        (cached, cold, token(&idp))
    })
}

const CASES: [(&str, &str); 5] = [
    ("unguarded", "/unguarded"),
    ("standard-cached", "/standard"),
    ("sensitive-cached", "/sensitive"),
    ("standard-cold", "/standard"),
    ("sensitive-cold", "/sensitive"),
];

fn benches(c: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    for (name, algorithm) in ALGORITHMS {
        let (cached, cold, token) = setup(&runtime, algorithm);
        let bearer = format!("Bearer {token}");
        let mut group = c.benchmark_group(name);
        for (case, path) in CASES {
            let app = if case.ends_with("cold") { &cold } else { &cached };
            group.bench_function(case, |b| {
                b.iter(|| {
                    let request = Request::get(path).header("authorization", bearer.as_str());
                    let request = request.body(Body::empty()).expect("a request");
                    let response = runtime.block_on(app.clone().oneshot(request));
                    assert_eq!(response.expect("infallible").status(), StatusCode::OK);
                });
            });
        }
        group.finish();
    }
}

const ALGORITHMS: [(&str, TestAlgorithm); 3] = [
    ("call-RS256", TestAlgorithm::Rs256),
    ("call-ES256", TestAlgorithm::Es256),
    ("call-EdDSA", TestAlgorithm::EdDsa),
];

fn main() {
    let mut criterion = criterion();
    benches(&mut criterion);
    criterion.final_summary();
    for (name, _) in ALGORITHMS {
        print_ratios(name, &CASES.map(|(case, _)| case));
    }
}
