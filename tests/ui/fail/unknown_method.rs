use stepup_runtime::step_up;

#[step_up(methods = ["mfaa"])]
async fn approve() {}

fn main() {}
