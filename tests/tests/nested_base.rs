//! A service whose whole router is nested under a base path. With strict routes, its handlers
//! (including the one for the root) work only under that path.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use axum::Router;
use stepup_runtime::testing::TestIssuer;
use stepup_runtime::{StepUp, routes, service, step_up};
use stepup_tests::server::Server;

service!(base = "/api");

#[step_up(get = "/", trust = "standard")]
async fn root() -> &'static str {
    "root"
}

#[step_up(get = "/accounts/{id}", methods = ["mfa"])]
async fn account() -> &'static str {
    "account"
}

#[tokio::test]
async fn handlers_mounted_outside_the_base_are_refused_as_drifted() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let builder = StepUp::builder().issuer(idp.issuer()).strict_routes(true);
    let step_up = builder.build().await.expect("built");
    let inner: Router<StepUp> = routes![root, account];
    let app =
        Router::new().nest("/api", inner.clone()).nest("/elsewhere", inner).merge(routes![root]);
    let server = Server::start(app.with_state(step_up.clone())).await;
    let token = idp.mfa_token();
    let status = async |path: &str| server.call("GET", path, Some(&token)).await.status;
    assert_eq!((status("/api").await, status("/api/accounts/7").await), (200, 200));
    assert_eq!(step_up.drifted_requests(), 0);
    for path in ["/", "/elsewhere", "/elsewhere/accounts/7"] {
        assert_eq!(status(path).await, 500, "{path}");
    }
    assert_eq!(step_up.drifted_requests(), 3);
}
