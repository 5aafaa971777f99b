use stepup_runtime::step_up;

#[step_up(methods = ["custom:okta_verify"])]
async fn approve() {}

fn main() {}
