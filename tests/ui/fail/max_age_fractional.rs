use stepup_runtime::step_up;

#[step_up(max_age = 1.5)]
async fn approve() {}

fn main() {}
