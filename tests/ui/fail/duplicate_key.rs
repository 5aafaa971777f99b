use stepup_runtime::step_up;

#[step_up(methods = ["mfa"], max_age = 300, max_age = 600)]
async fn approve() {}

fn main() {}
