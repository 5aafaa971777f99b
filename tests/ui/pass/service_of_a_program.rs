//@ CARGO_BIN_NAME=bank
//@ CARGO_MANIFEST_DIR=ui/pass
//! A package without a library: the program states the service.
stepup_runtime::service!(base = "/api");

#[stepup_runtime::step_up(get = "/a", trust = "public", reason = "everybody may read it")]
async fn a(_: Option<stepup_runtime::Principal>) {}

fn main() {
    let contract = stepup_runtime::Contract::collect().expect("a contract");
    assert_eq!((contract.service(), contract.base()), ("program", Some("/api")));
}
