use stepup_runtime::step_up;

#[step_up(scopes = ["payments"], bound = true)]
async fn approve() {}

fn main() {}
