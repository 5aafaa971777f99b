use stepup_runtime::step_up;

#[step_up(acr = ["gold silver"])]
async fn approve() {}

fn main() {}
