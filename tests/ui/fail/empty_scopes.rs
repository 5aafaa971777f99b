use stepup_runtime::step_up;

#[step_up(methods = ["mfa"], scopes = [])]
async fn approve() {}

fn main() {}
