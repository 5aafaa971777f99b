use stepup_runtime::step_up;

#[step_up(get = "/x?y=1", methods = ["mfa"])]
async fn approve() {}

fn main() {}
