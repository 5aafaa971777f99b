use stepup_runtime::step_up;

#[step_up(trust = "high", methods = ["mfa"])]
async fn approve() {}

fn main() {}
