use stepup_runtime::step_up;

#[step_up(methods = 7, scopes = "payments", bound = "yes")]
async fn approve() {}

fn main() {}
