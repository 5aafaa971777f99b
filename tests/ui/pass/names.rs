//! Handlers whose names collide with keywords, crates, types, macros or each other.
#![allow(non_snake_case)]

use axum::Router;
use stepup_runtime::{Contract, StepUp, policy, routes, step_up};

#[step_up(get = "/raw", methods = ["mfa"])]
async fn r#match() {}

#[step_up(get = "/axum", methods = ["mfa"])]
async fn axum() {}

#[step_up(get = "/time", methods = ["mfa"])]
async fn time() {}

#[step_up(get = "/str", methods = ["mfa"])]
async fn str() {}

#[step_up(get = "/u8", methods = ["mfa"])]
async fn u8() {}

#[step_up(get = "/core", methods = ["mfa"])]
async fn core() {}

#[step_up(get = "/stepup", methods = ["mfa"])]
async fn stepup_runtime() {}

#[step_up(get = "/record", methods = ["mfa"])]
async fn record() {}

#[step_up(get = "/single", methods = ["mfa"])]
async fn a_b() {}

#[step_up(get = "/double", methods = ["mfa"])]
async fn a__b() {}

#[step_up(get = "/leading", methods = ["mfa"])]
async fn _a_b() {}

#[step_up(get = "/digit", methods = ["mfa"])]
async fn a_1() {}

#[step_up(get = "/camel", methods = ["mfa"])]
async fn aB() {}

policy! { RECORD: max_age = 60 }

#[step_up(get = "/router", policy = RECORD)]
async fn router() {}

mod profile {
    use stepup_runtime::step_up;

    pub mod deep {
        use stepup_runtime::step_up;

        #[step_up(get = "/deep", methods = ["mfa"])]
        pub async fn profile() {}
    }

    #[step_up(get = "/inner", methods = ["mfa"])]
    pub(crate) async fn inner() {}

    pub use deep::profile as renamed;
}

#[step_up(get = "/profile", methods = ["mfa"])]
async fn profile() {}

use profile::inner as other_name;

macro_rules! handler {
    ($name:ident, $path:literal, $($key:tt = $value:expr),*) => {
        #[step_up(get = $path, $($key = $value),*)]
        async fn $name() {}
    };
}

handler!(by_macro, "/by-macro", max_age = 60);

macro_rules! pass_through {
    ($item:item) => {
        $item
    };
}

pass_through! {
    #[step_up(get = "/passed", methods = ["mfa"])]
    async fn passed() {}
}

#[derive(Clone)]
struct Other(StepUp);

impl ::axum::extract::FromRef<Other> for StepUp {
    fn from_ref(other: &Other) -> Self {
        other.0.clone()
    }
}

#[step_up(methods = ["mfa"])]
async fn late() {}

fn local() -> Router<StepUp> {
    #[step_up(get = "/local", methods = ["mfa"])]
    async fn approve() {}
    routes![approve]
}

fn main() {
    let _: Router<Other> = routes![
        r#match, axum, time, str, u8, core, stepup_runtime, record, a_b, a__b, _a_b, a_1, aB, router,
        profile, other_name, profile::renamed, by_macro, passed,
        POST "/late/{id}" => late,
        ANY "/later" => late,
    ];
    // The same handlers also work with other state types.
    let _: Router<std::sync::Arc<StepUp>> = routes![profile];
    let _ = local();
    let contract = Contract::collect().unwrap();
    let find = |path: &str| contract.endpoints().iter().find(|e| e.path == path).unwrap();
    let handler = |path| find(path).handler.as_deref().unwrap().split_once("::").unwrap().1;
    assert_eq!(handler("/raw"), "match");
    assert_eq!(handler("/deep"), "profile::deep::profile");
    assert_eq!(find("/late/{id}").handler, find("/later").handler);
    assert_eq!(find("/late/{id}").requirement, find("/later").requirement);
    assert_eq!(contract.endpoints().len(), 22);
}
