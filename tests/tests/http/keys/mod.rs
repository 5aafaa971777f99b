//! An issuer's keys: which requests are allowed, which are refused, and how often the keys are fetched.

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
