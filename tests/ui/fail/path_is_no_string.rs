use stepup_runtime::step_up;

#[step_up(get = approve, methods = ["mfa"])]
async fn approve() {}

fn main() {}
