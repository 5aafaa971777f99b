use stepup_runtime::step_up;

#[step_up(max_age = "5 minutes")]
async fn approve() {}

fn main() {}
