use stepup_runtime::policy;

policy! { PAYMENTS: scopes = ["payments"] }

fn main() {}
