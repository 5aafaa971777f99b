//! Introspection (RFC 7662) of opaque tokens, and of JWTs where the API requires it.

mod answers;
mod faults;

use axum::Router;
use stepup_runtime::{Issuer, Principal, StepUp, routes, step_up};
use stepup_tests::server::{Answer, Server};

#[step_up(get = "/profile", trust = "standard")]
async fn profile(user: Principal) -> String {
    user.subject().to_owned()
}

#[step_up(post = "/approve", methods = ["mfa"], max_age = 300, scopes = ["pay"])]
async fn approve() -> &'static str {
    "approved"
}

fn app(step_up: StepUp) -> Router {
    routes![profile, approve].with_state(step_up)
}

async fn serve(issuer: Issuer) -> Server {
    let step_up = StepUp::builder().issuer(issuer).build().await.expect("built");
    Server::start(app(step_up)).await
}

/// Requests the profile with this token.
async fn get(server: &Server, token: &str) -> Answer {
    server.call("GET", "/profile", Some(token)).await
}
