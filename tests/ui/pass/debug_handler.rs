//! `#[debug_handler]` below the attribute: without a state, with an inferred state, and with a named state.

use axum::debug_handler;
use axum::extract::{FromRef, State};
use stepup_runtime::{Principal, StepUp, routes, step_up};

#[derive(Clone, FromRef)]
struct AppState {
    step_up: StepUp,
    name: String,
}

#[step_up(get = "/bare", methods = ["mfa"])]
#[debug_handler]
async fn bare(_: Principal) {}

#[step_up(get = "/qualified", methods = ["mfa"])]
#[axum::debug_handler]
async fn qualified() -> &'static str {
    ""
}

#[step_up(get = "/inferred", methods = ["mfa"])]
#[debug_handler]
async fn inferred(State(_): State<AppState>) {}

#[step_up(get = "/named", methods = ["mfa"])]
#[debug_handler(state = AppState)]
async fn named(State(_): State<String>) {}

fn main() {
    let _: axum::Router<AppState> = routes![bare, qualified, inferred, named];
}
