//! A router whose state is an `Arc`.
use axum::Router;
use axum::extract::{FromRef, State};
use std::sync::Arc;
use stepup_runtime::{StepUp, routes, step_up};

struct AppState {
    step_up: StepUp,
}

impl FromRef<AppState> for StepUp {
    fn from_ref(state: &AppState) -> Self {
        state.step_up.clone()
    }
}

#[derive(Clone, FromRef)]
struct Derived {
    step_up: StepUp,
}

#[step_up(get = "/a", trust = "standard")]
async fn a(State(_): State<Arc<AppState>>) {}

#[step_up(get = "/b", trust = "standard")]
async fn b() {}

fn app(state: Arc<AppState>) -> Router {
    routes![a].with_state(state)
}

fn derived(state: Arc<Derived>) -> Router {
    routes![b].with_state(state)
}

fn plain(step_up: Arc<StepUp>) -> Router {
    routes![b].with_state(step_up)
}

fn main() {
    let _ = (app, derived, plain);
}
