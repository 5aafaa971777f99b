use stepup_runtime::step_up;

#[step_up(metods = ["mfa"])]
async fn approve() {}

fn main() {}
