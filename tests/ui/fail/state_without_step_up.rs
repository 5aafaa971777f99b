use axum::Router;
use stepup_runtime::{routes, step_up};

#[derive(Clone)]
struct AppState;

#[step_up(post = "/approve", methods = ["mfa"])]
async fn approve() {}

fn main() {
    let _: Router<AppState> = routes![approve];
}
