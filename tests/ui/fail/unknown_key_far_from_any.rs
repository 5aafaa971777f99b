use stepup_runtime::step_up;

#[step_up(colour = "red", methods = ["mfa"])]
async fn approve() {}

fn main() {}
