use stepup_runtime::step_up;

#[step_up(post = "/a", trust = "public", reason = "", methods = ["mfa"], scopes = ["pay"], bound = true)]
async fn a() {}

fn main() {}
