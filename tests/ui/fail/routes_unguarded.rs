use axum::Router;
use stepup_runtime::{StepUp, routes};

async fn approve() {}

fn main() {
    let _: Router<StepUp> = routes![approve];
}
