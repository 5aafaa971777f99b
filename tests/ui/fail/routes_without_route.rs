use axum::Router;
use stepup_runtime::{StepUp, routes, step_up};

#[step_up(methods = ["mfa"])]
async fn approve() {}

fn main() {
    let _: Router<StepUp> = routes![approve];
}
