use stepup_runtime::step_up;

#[step_up(max_age = 300u64)]
async fn approve() {}

fn main() {}
