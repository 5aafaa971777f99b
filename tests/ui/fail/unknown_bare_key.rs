use stepup_runtime::step_up;

#[step_up(get = "/a", mfa)]
async fn a() {}

fn main() {}
