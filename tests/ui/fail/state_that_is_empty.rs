use axum::Router;
use stepup_runtime::{routes, step_up};

#[step_up(post = "/approve", methods = ["mfa"])]
async fn approve() {}

fn main() {
    let _: Router = routes![approve];
}
