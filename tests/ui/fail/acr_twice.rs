use stepup_runtime::step_up;

#[step_up(acr = ["gold", "gold"])]
async fn approve() {}

fn main() {}
