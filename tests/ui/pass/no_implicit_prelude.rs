//! Code without the standard prelude.
#![no_implicit_prelude]

::stepup_runtime::service!();

::stepup_runtime::policy! { PAYMENTS: methods = ["mfa"] }

#[::stepup_runtime::step_up(get = "/a", policy = PAYMENTS)]
async fn a() {}

#[::stepup_runtime::step_up(methods = ["mfa"])]
async fn b(_: ::stepup_runtime::Principal) {}

fn main() {
    let _: ::axum::Router<::stepup_runtime::StepUp> =
        ::stepup_runtime::routes![a, GET "/b" => b];
}
