use stepup_runtime::step_up;

#[step_up(methods = [custom("pwd")])]
async fn approve() {}

fn main() {}
