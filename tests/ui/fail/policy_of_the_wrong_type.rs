use stepup_runtime::step_up;

const PAYMENTS: &str = "mfa";

#[step_up(post = "/approve", policy = PAYMENTS)]
async fn approve() {}

fn main() {}
