use stepup_runtime::step_up;

#[step_up(get = "/a", trust = "publik")]
async fn a() {}

fn main() {}
