//! One in-process call of an axum router: unguarded, guarded at a standard and at a sensitive
//! endpoint, and refused. Same router, same token in the request, one thread.
#![expect(clippy::expect_used, reason = "a bench fails by panicking")]

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use criterion::Criterion;
use http::{Request, StatusCode};
use serde_json::json;
use stepup_benches::{criterion, print_ratios};
use stepup_runtime::testing::{TestAlgorithm, TestIssuer};
use stepup_runtime::{StepUp, routes, step_up};
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

fn setup(runtime: &Runtime, algorithm: TestAlgorithm) -> (Router, String) {
    runtime.block_on(async {
        let idp = TestIssuer::start_with(algorithm).await.expect("an issuer");
        let issuer = idp.issuer().jwks(idp.jwks());
        let step_up = StepUp::builder().issuer(issuer).build().await.expect("built");
        let guarded: Router<StepUp> = routes![standard, sensitive];
        let app = guarded.route("/unguarded", get(unguarded)).with_state(step_up);
        let token = idp.token().claim("amr", json!(["pwd", "mfa"])).claim("scope", "a b").mint();
        (app, token)
    })
}

const CASES: [(&str, &str, StatusCode); 3] = [
    ("unguarded", "/unguarded", StatusCode::OK),
    ("standard", "/standard", StatusCode::OK),
    ("sensitive", "/sensitive", StatusCode::OK),
];

fn benches(c: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    for (name, algorithm) in ALGORITHMS {
        let (app, token) = setup(&runtime, algorithm);
        let bearer = format!("Bearer {token}");
        let mut group = c.benchmark_group(name);
        for (case, path, expected) in CASES {
            group.bench_function(case, |b| {
                b.iter(|| {
                    let request = Request::get(path).header("authorization", bearer.as_str());
                    let request = request.body(Body::empty()).expect("a request");
                    let response = runtime.block_on(app.clone().oneshot(request));
                    assert_eq!(response.expect("infallible").status(), expected);
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
        print_ratios(name, &CASES.map(|(case, ..)| case));
    }
}
