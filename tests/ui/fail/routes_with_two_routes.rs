use axum::Router;
use stepup_runtime::{StepUp, routes, step_up};

#[step_up(post = "/approve", methods = ["mfa"])]
async fn approve() {}

fn main() {
    let _: Router<StepUp> = routes![POST "/approve" => approve];
}
