use stepup_runtime::step_up;

#[step_up(methods = [])]
async fn approve() {}

fn main() {}
