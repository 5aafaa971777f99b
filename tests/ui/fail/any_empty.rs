use stepup_runtime::step_up;

#[step_up(methods = any())]
async fn approve() {}

fn main() {}
