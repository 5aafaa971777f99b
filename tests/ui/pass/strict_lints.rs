//! Code that denies every warning.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unreachable_pub, unused, rust_2018_idioms, non_camel_case_types)]

use stepup_runtime::{StepUp, policy, routes, service, step_up};

service!();

policy! {
    /// The requirement of payments.
    pub(crate) PAYMENTS: methods = ["mfa"]
}

/// Public.
#[step_up(get = "/a", policy = PAYMENTS)]
pub async fn a() {}

/// A module.
pub mod inner {
    use stepup_runtime::step_up;

    /// Public.
    #[step_up(get = "/b", methods = ["mfa"])]
    pub async fn b__() {}
}

mod private {
    use stepup_runtime::step_up;

    #[step_up(methods = ["mfa"])]
    pub(crate) async fn c() {}
}

fn main() {
    let _: axum::Router<StepUp> = routes![a, inner::b__, GET "/c" => private::c];
}
