use stepup_runtime::step_up;

#[step_up(methods = ["mfa"])]
fn approve() {}

fn main() {}
