use axum::debug_handler;
use stepup_runtime::{Principal, StepUp, step_up};

#[debug_handler(state = StepUp)]
#[step_up(post = "/approve", methods = ["mfa"])]
async fn approve(_user: Principal) {}

fn main() {}
