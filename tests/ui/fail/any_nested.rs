use stepup_runtime::step_up;

#[step_up(methods = any("hwk", any("face")))]
async fn approve() {}

fn main() {}
