use stepup_runtime::step_up;

#[step_up(path = "/a", max_age = 60)]
async fn a() {}

fn main() {}
