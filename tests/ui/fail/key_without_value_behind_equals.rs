use stepup_runtime::step_up;

#[step_up(methods =, max_age = 300)]
async fn approve() {}

fn main() {}
