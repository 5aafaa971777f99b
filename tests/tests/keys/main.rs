//! An issuer's keys: what is served, what is refused, and how often the issuer is asked.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod faults;
mod rotation;

use axum::Router;
use stepup_runtime::{BuildError, Issuer, StepUp, routes, step_up};
use stepup_tests::server::Server;

#[step_up(get = "/profile", trust = "standard")]
async fn profile() -> &'static str {
    "reached"
}

fn app(step_up: StepUp) -> Router {
    routes![profile].with_state(step_up)
}

async fn built(issuer: Issuer) -> Result<StepUp, BuildError> {
    StepUp::builder().issuer(issuer).build().await
}

async fn serve(issuer: Issuer) -> Server {
    Server::start(app(built(issuer).await.expect("built"))).await
}

async fn status(server: &Server, token: &str) -> u16 {
    server.call("GET", "/profile", Some(token)).await.status
}
