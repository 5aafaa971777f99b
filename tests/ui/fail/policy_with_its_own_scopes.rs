use stepup_runtime::{policy, step_up};

policy! { READERS: trust = "standard", scopes = ["read", "list"] }
policy! { OPEN: trust = "public", reason = "the load balancer calls it" }

#[step_up(get = "/a", policy = READERS, scopes = ["list", "other"])]
async fn a() {}

#[step_up(get = "/b", policy = OPEN, scopes = ["other"])]
async fn b() {}

fn main() {}
