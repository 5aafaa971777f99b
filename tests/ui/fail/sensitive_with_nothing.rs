use stepup_runtime::step_up;

#[step_up(post = "/approve")]
async fn approve() {}

fn main() {}
