use stepup_runtime::step_up;

#[step_up(crate = "not a path", methods = ["mfa"])]
async fn approve() {}

fn main() {}
