use stepup_runtime::step_up;

#[step_up(methods = ["mfa"], risk = risk(step_up = "high", deny = "medium"))]
async fn approve() {}

fn main() {}
