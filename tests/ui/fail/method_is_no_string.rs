use stepup_runtime::step_up;

#[step_up(methods = [mfa])]
async fn approve() {}

fn main() {}
