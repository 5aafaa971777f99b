use stepup_runtime::step_up;

#[step_up(methods = ["mfa"], risk = risk(refuse = "high"))]
async fn approve() {}

fn main() {}
