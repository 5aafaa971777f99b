use stepup_runtime::{policy, step_up};

policy! { READERS: trust = "standard", scopes = ["read"] }

#[step_up(get = "/report", policy = READERS, trust = "public", reason = "for everybody", scopes = ["export"])]
async fn report() {}

fn main() {}
