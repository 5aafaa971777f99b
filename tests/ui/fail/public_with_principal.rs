use stepup_runtime::{Principal, step_up};

#[step_up(post = "/a", trust = "public", reason = "signed by Stripe")]
async fn a(user: Principal) {}

fn main() {}
