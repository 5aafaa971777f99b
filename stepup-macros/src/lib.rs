//! The macros of Step-up. Depend on `stepup-runtime`, which re-exports them.
//!
//! A macro reads its tokens into the types of `stepup-contract` (`value`, `keys`), checks them with
//! the same rules that the contract's parser uses, and writes little code (`handler`, `routes`,
//! `policy`, `service`): the logic is in functions of the runtime. Every mistake is reported at its
//! own token, all of them at once (`errors`).

mod attribute;
mod errors;
mod handler;
mod keys;
mod policy;
mod record;
mod routes;
mod service;
#[cfg(test)]
mod tests;
mod value;

use proc_macro::TokenStream;

/// Guards an axum handler and registers it in the contract.
///
/// ```
/// use stepup_runtime::{Principal, step_up};
///
/// #[step_up(post = "/approve-transaction", methods = ["mfa"], max_age = 300)]
/// async fn approve(user: Principal, transaction: String) -> String {
///     format!("{} approved {transaction}", user.subject())
/// }
/// ```
///
/// | key | value | meaning |
/// |---|---|---|
/// | `get` `post` `put` `patch` `delete` `head` `options` `any` | `"/path/{id}"` | the route, in axum 0.8's syntax; at most one |
/// | `trust` | `"standard"` or `"sensitive"` | `"sensitive"` unless given; `"standard"` asks for no step-up |
/// | `methods` | `["mfa"]` or `any("hwk", "face")` | a list means all of them, `any(…)` one of them |
/// | `acr` | `"v"` or `["v1", "v2"]` | any of them, in order of preference |
/// | `max_age` | `300`, `"90s"`, `"5m"`, `"1h"` | seconds since the last active authentication |
/// | `scopes` | `["payments:approve"]` | all of them |
/// | `risk` | `risk(step_up = "medium", deny = "high")` | how the session's risk changes what is asked |
/// | `per_action` | `true` | every call needs its own confirmation |
/// | `bound` | `true` | the token must be sender-constrained (RFC 9449) |
/// | `policy` | a path to a `policy!` item | a named requirement instead of the keys above |
/// | `crate` | `"path"` | where the runtime crate lives, for re-exports |
///
/// The guard becomes the handler's first argument, so that it decides before any other extractor
/// runs. Without a route the handler is guarded all the same, and gets its route in `routes!`.
/// `#[debug_handler]` goes below this attribute.
#[proc_macro_attribute]
pub fn step_up(arguments: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand(arguments.into(), item.into()).into()
}

/// An `axum::Router` with each guarded handler mounted at its route.
///
/// ```
/// # use stepup_runtime::{StepUp, routes, step_up};
/// # #[step_up(get = "/profile", trust = "standard")] async fn profile() {}
/// # #[step_up(post = "/transfers", max_age = 60)] async fn transfer<D>() {}
/// # #[step_up(methods = ["mfa"])] async fn cancel() {}
/// # struct Postgres;
/// let app: axum::Router<StepUp> = routes![
///     profile,
///     transfer::<Postgres>,
///     POST "/transfers/{id}/cancel" => cancel,
/// ];
/// ```
///
/// Several methods on one path are merged. The last form gives a route to a handler whose attribute
/// has none; `ANY` takes every method. `crate = path;` in front says where the runtime lives.
#[proc_macro]
pub fn routes(input: TokenStream) -> TokenStream {
    routes::expand(input.into()).into()
}

/// Names a requirement once, for many handlers.
///
/// ```
/// use stepup_runtime::{policy, step_up};
///
/// policy! { pub PAYMENTS: methods = ["mfa"], max_age = 300 }
///
/// #[step_up(post = "/transfers", policy = PAYMENTS)]
/// async fn transfer() {}
/// ```
#[proc_macro]
pub fn policy(input: TokenStream) -> TokenStream {
    policy::expand(input.into()).into()
}

/// Says whose contract this is: the package and version of the crate that calls it. Once per
/// program, in its own crate.
///
/// ```
/// stepup_runtime::service!(unlisted = "allow", base = "/api");
/// # fn main() {}
/// ```
///
/// `unlisted` says what an enforcer does with a request that no endpoint matches: `"deny"` unless
/// given. `base` is the prefix under which the whole router is nested, if it is.
#[proc_macro]
pub fn service(input: TokenStream) -> TokenStream {
    service::expand(input.into()).into()
}
