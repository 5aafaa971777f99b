use stepup_runtime::step_up;

#[step_up(methods = ["mfa"])]
struct Approve;

fn main() {}
