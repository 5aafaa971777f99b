//! Step-up authentication for axum: one attribute on a handler enforces how, and how long ago, the
//! caller proved who they are, and registers the endpoint in a contract.
//!
//! ```
//! use axum::Router;
//! use stepup_runtime::{Principal, StepUp, routes, step_up};
//!
//! #[step_up(get = "/user-profile", trust = "standard")]
//! async fn profile(user: Principal) -> String {
//!     format!("Hello {}", user.subject())
//! }
//!
//! #[step_up(post = "/approve-transaction", methods = ["mfa"], max_age = 300)]
//! async fn approve(user: Principal) -> String {
//!     format!("Approved by {}", user.subject())
//! }
//!
//! fn app(step_up: StepUp) -> Router {
//!     step_up.protect(routes![profile, approve]).with_state(step_up)
//! }
//! ```
//!
//! [`StepUp::protect`] refuses every request that the contract does not list, so that a handler whose author forgot the
//! attribute gets no requests.
//!
//! # A request's path
//!
//! The guard (`axum`) builds a [`RequestHead`] and calls [`StepUp::enforce`] (`enforcement`). Enforcement reads the one
//! credential (`request`), gets the verified token from the cache, from its issuer's keys (`issuer`, `jose`) or by
//! introspection (`token`), checks its times and the proof of its key (`dpop`), and calls
//! [`decide`](stepup_contract::decide) of `stepup-contract`. The handler gets the [`Principal`], or the client gets a
//! [`Refusal`] (`refusal`).
//!
//! # Features
//!
//! - `axum` (default): the guard, `routes!`, the tower layer and the metadata routes. Without this feature the crate
//!   enforces a [`RequestHead`] that you build from any framework's request.
//! - `testing`: a development issuer, a clock that can be set, and guards for unit tests. For tests and examples.

#![cfg_attr(not(feature = "axum"), allow(dead_code, reason = "only adapters use some items"))]

// Folders, top to bottom: each uses only folders below it. A test checks this order.
#[cfg(feature = "testing")]
pub mod testing;

#[doc(hidden)]
#[path = "macro_support.rs"]
pub mod __private;

#[cfg(feature = "axum")]
mod axum;
mod config;
mod dpop;
mod enforcement;
mod issuer;
mod jose;
mod refusal;
mod request;
mod session;
mod signal;
mod support;
mod token;

extern crate self as stepup_runtime;

#[cfg(feature = "axum")]
pub use crate::axum::layer::{ContractLayer, ContractService};
#[cfg(feature = "axum")]
pub use crate::axum::request::ClientAddress;
#[cfg(feature = "axum")]
pub use crate::axum::state::HasStepUp;
pub use config::build_error::BuildError;
pub use config::builder::Builder;
pub use config::issuer::{Issuer, IssuerError};
pub use config::providers::Provider;
pub use dpop::options::Dpop;
pub use dpop::possession::check_scheme;
pub use enforcement::allowed_origins::OriginError;
pub use enforcement::contract_enforcer::{Admission, ContractEnforcer};
pub use enforcement::enforceability::{Capabilities, unenforceable};
pub use enforcement::enforcement_future::Enforcement;
pub use enforcement::principal::Principal;
pub use enforcement::protected_resource::ResourceError;
pub use enforcement::risk_source::{RiskFuture, RiskSource};
pub use enforcement::step_up::StepUp;
pub use refusal::{
    Cause, Denial, InvalidRequest, Misconfiguration, ProofError, Refusal, TokenError,
};
pub use request::credential::check_credential;
pub use request::endpoint_lookup::EndpointLookup;
pub use request::head::RequestHead;
pub use request::header_name::reads_as;
pub use request::limits::RequestLimits;
pub use request::overrides::OverrideCheck;
pub use session::directory::SessionRecord;
pub use session::log::SessionsError;
pub use session::manager::{RiskManager, SessionManager};
pub use session::notice::{InvalidNotice, Notice, NoticeEffect, NoticeSource, NoticeTarget};
pub use session::sessions::Sessions;
pub use signal::transmitter::{Transmitter, TransmitterError};
pub use support::clock::{Clock, SystemClock};
pub use token::cache::TokenCache;
pub use token::claims::TokenClaims;
pub use token::introspection::options::Introspection;
pub use token::times::TokenTimes;

pub use stepup_contract::{
    Authentication, Challenge, ClaimPath, Contract, ContractError, ContractErrors, Dialect,
    Endpoint, Finding, HttpMethod, Lacking, Method, ParseNameError, PathAmbiguity, Profile,
    Requirement, RiskLevel, RiskRule, Severity, TextError, Trust, Unlisted,
};
/// Names a requirement once, for many handlers.
///
/// ```
/// use stepup_runtime::{policy, step_up};
///
/// policy! { pub PAYMENTS: methods = ["mfa"], max_age = 300 }
/// policy! { pub READERS: trust = "standard", scopes = ["read"] }
///
/// #[step_up(post = "/transfers", policy = PAYMENTS)]
/// async fn transfer() {}
///
/// // Scopes can be added to a policy.
/// #[step_up(get = "/transfers", policy = READERS, scopes = ["transfers"])]
/// async fn transfers() {}
/// ```
pub use stepup_macros::policy;
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
#[cfg(feature = "axum")]
pub use stepup_macros::routes;
/// Declares the service of the contract, once per program: in the library of the program's package if there is one, so
/// that integration tests see the same contract, otherwise in `main.rs`.
///
/// ```
/// stepup_runtime::service!(unlisted = "allow", base = "/api");
/// # fn main() {}
/// ```
///
/// A library may be linked into another program, which its `service!` does not describe. So a `service!` in a library
/// counts only if all endpoints are of its own package, or of the packages that it includes:
/// `service!(includes = ["billing"])`. A `service!` in a program counts in any case.
pub use stepup_macros::service;
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
pub use stepup_macros::step_up;
