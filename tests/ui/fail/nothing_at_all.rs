use stepup_runtime::step_up;

#[step_up()]
async fn approve() {}

fn main() {}
