use stepup_runtime::step_up;

#[step_up(post = "/approve/:id", methods = ["mfa"])]
async fn approve() {}

fn main() {}
