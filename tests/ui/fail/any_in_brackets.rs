use stepup_runtime::step_up;

#[step_up(get = "/a", methods = any["hwk", "face"])]
async fn a() {}

fn main() {}
