use stepup_runtime::step_up;

#[step_up(get = "/files/*rest", methods = ["mfa"])]
async fn approve() {}

fn main() {}
