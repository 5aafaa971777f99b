use stepup_runtime::{policy, step_up};

policy! { P: trust = "standard", reason = "why not" }

#[step_up(post = "/a", max_age = 60, reason = "why not")]
async fn a() {}

fn main() {}
