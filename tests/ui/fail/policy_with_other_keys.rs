use stepup_runtime::{policy, step_up};

policy! { PAYMENTS: methods = ["mfa"], max_age = 300 }

#[step_up(post = "/approve", policy = PAYMENTS, max_age = 60, scopes = ["payments"])]
async fn approve() {}

fn main() {}
