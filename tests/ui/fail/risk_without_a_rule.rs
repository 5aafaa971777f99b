use stepup_runtime::step_up;

#[step_up(methods = ["mfa"], risk = "high")]
async fn approve() {}

fn main() {}
