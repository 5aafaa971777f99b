//! The macros of Step-up. Depend on `stepup-runtime`, which re-exports them, with examples.
//!
//! A macro parses its tokens into the types of `stepup-contract` (`value`, `keys`), checks them with the rules of the
//! contract's parser, and generates little code (`handler`, `routes`, `policy`, `service`): the logic is in functions
//! of the runtime. One compilation reports every error, each at its token (`diagnostics`).

mod attribute;
mod diagnostics;
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

/// The keys of the attribute:
///
/// | key | value | meaning |
/// |---|---|---|
/// | `get` `post` `put` `patch` `delete` `head` `options` `any` | `"/path/{id}"` | the route, in axum 0.8's syntax; at most one |
/// | `trust` | `"public"`, `"standard"` or `"sensitive"` | `"sensitive"` by default; `"standard"` requires no step-up, `"public"` no token |
/// | `reason` | `"signed by Stripe"` | why the endpoint is public |
/// | `methods` | `["mfa"]` or `any("hwk", "face")` | a list means all of them, `any(…)` one of them |
/// | `acr` | `"v"` or `["v1", "v2"]` | any of them, in order of preference |
/// | `max_age` | `300`, `"90s"`, `"5m"`, `"1h"` | seconds since the last active authentication |
/// | `scopes` | `["payments:approve"]` | all of them |
/// | `risk` | `risk(step_up = "medium", deny = "high")` | how the session's risk changes the requirement |
/// | `per_action` | `true` | every call needs a separate confirmation |
/// | `bound` | `true` | the token must be sender-constrained (RFC 9449) |
/// | `policy` | a path to a `policy!` item | a named requirement instead of the keys above; `scopes` are added to its own |
/// | `crate` | `"path"` | the path of the runtime crate, for re-exports |
///
/// The guard becomes the handler's first argument, so it decides before any other extractor runs. A handler without a
/// route is guarded too, and gets its route in `routes!`. The first line of the handler's documentation is the endpoint's
/// summary in the contract.
/// `#[debug_handler]` goes below this attribute.
#[proc_macro_attribute]
pub fn step_up(arguments: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand(arguments.into(), item.into()).into()
}

/// Each element is a handler whose attribute has a route, or `METHOD "/path" => handler`.
///
/// Several methods on one path are merged. The last form gives a route to a handler whose attribute has none; `ANY`
/// matches every method. `crate = path;` in front sets the path of the runtime crate.
#[proc_macro]
pub fn routes(input: TokenStream) -> TokenStream {
    routes::expand(input.into()).into()
}

/// The keys are those of `#[step_up]` without the route and `policy`.
#[proc_macro]
pub fn policy(input: TokenStream) -> TokenStream {
    policy::expand(input.into()).into()
}

/// Names the service of the contract: the package and version of the calling crate. Call it once per program, in the
/// program's crate.
///
/// `unlisted` is what an enforcer does with a request that matches no endpoint: `"deny"` (the default) or `"allow"`.
/// `base` is the prefix under which the whole router is nested, if any. `includes` lists other packages whose endpoints
/// belong to the service, for a `service!` in a library.
#[proc_macro]
pub fn service(input: TokenStream) -> TokenStream {
    service::expand(input.into()).into()
}
