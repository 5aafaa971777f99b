use stepup_runtime::step_up;

#[step_up(get = "/a", post = "/a", methods = ["mfa"])]
async fn approve() {}

fn main() {}
