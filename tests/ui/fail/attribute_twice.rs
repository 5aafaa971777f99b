use stepup_runtime::step_up;

#[step_up(methods = ["mfa"])]
#[step_up(max_age = 300)]
async fn approve() {}

fn main() {}
