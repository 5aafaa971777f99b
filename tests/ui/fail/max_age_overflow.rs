use stepup_runtime::step_up;

#[step_up(max_age = 4294967296)]
async fn approve() {}

fn main() {}
