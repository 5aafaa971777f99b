use stepup_runtime::step_up;

#[step_up(methods = ["retina-scan-2000"])]
async fn approve() {}

fn main() {}
