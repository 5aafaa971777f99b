use stepup_runtime::policy;

policy! { PAYMENTS: methods = ["mfa"], maxage = 300 }

fn main() {}
