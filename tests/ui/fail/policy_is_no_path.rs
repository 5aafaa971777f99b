use stepup_runtime::step_up;

#[step_up(policy = "PAYMENTS")]
async fn approve() {}

fn main() {}
