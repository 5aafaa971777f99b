use stepup_runtime::step_up;

#[step_up(acr = ["0", "1"])]
async fn approve() {}

fn main() {}
