use stepup_runtime::step_up;

#[step_up(max_age = "soon")]
async fn approve() {}

fn main() {}
