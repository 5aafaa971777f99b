use stepup_runtime::step_up;

#[step_up(methods = [custom("")])]
async fn approve() {}

fn main() {}
