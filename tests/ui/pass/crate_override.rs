//! The runtime re-exported under another path.

mod facade {
    pub use stepup_runtime as inner;
    pub use stepup_runtime::{policy, routes, service, step_up};
}

use facade::{policy, routes, service, step_up};

service!(crate = "crate::facade::inner", base = "/api", unlisted = "allow");

policy! { PAYMENTS: methods = ["mfa"], max_age = 60, crate = "crate::facade::inner" }

#[step_up(get = "/a", policy = PAYMENTS, crate = "crate::facade::inner")]
async fn a() {}

#[step_up(policy = crate::PAYMENTS, crate = "facade::inner")]
async fn b() {}

fn main() {
    let _: axum::Router<facade::inner::StepUp> =
        routes![crate = crate::facade::inner, a, GET "/b" => b];
    let contract = facade::inner::Contract::collect().unwrap();
    assert_eq!(contract.base(), Some("/api"));
    assert_eq!(contract.endpoints()[0].requirement.max_age, Some(60));
    assert_eq!(contract.endpoints()[0].requirement, contract.endpoints()[1].requirement);
}
