use stepup_runtime::step_up;

#[step_up(max_age = "1193047h")]
async fn approve() {}

fn main() {}
