use stepup_runtime::step_up;

#[step_up(trust = "standard", methods = ["mfa"], max_age = 300)]
async fn approve() {}

fn main() {}
