use stepup_runtime::step_up;

#[step_up(get = "/{*rest}/x", methods = ["mfa"])]
async fn approve() {}

fn main() {}
