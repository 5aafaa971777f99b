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
//!     routes![profile, approve].with_state(step_up)
//! }
//! ```
//!
//! A request takes one way through this crate: the guard (`guard`) calls [`StepUp::enforce`]
//! (`enforce`), which takes the one credential from the request (`credential`) and asks what it says
//! (`tokens`): it is known, or its issuer's keys verify it (`token`, `jws`, `keys`), or its issuer is
//! asked (`introspector`). Then come, on every request, its times, the proof of its key (`dpop`), and
//! [`decide`](stepup_contract::decide) of `stepup-contract`. The handler gets the [`Principal`], or the
//! client a [`Refusal`].

extern crate self as stepup_runtime;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod algorithm;
mod breaker;
mod client_auth;
mod clock;
mod credential;
mod discovery;
mod dpop;
mod enforce;
mod enforcer;
mod flight;
mod found;
mod guard;
mod http_client;
mod introspection;
mod introspector;
mod issuer;
mod jwks;
mod jws;
mod keys;
mod layer;
mod nonce;
mod principal;
mod protected_resource;
mod providers;
mod refusal;
mod replay;
mod request_path;
mod response;
mod routes;
mod said;
mod shown;
mod signing;
mod state;
mod step_up;
#[cfg(feature = "testing")]
pub mod testing;
mod times;
mod token;
mod tokens;
mod unmet;

pub use clock::{Clock, SystemClock};
pub use credential::check_credential;
pub use dpop::{Dpop, check_scheme};
pub use enforce::unenforceable;
pub use enforcer::{Admission, Enforcer};
pub use found::{Found, reads_as};
pub use introspection::Introspection;
pub use issuer::{Issuer, IssuerError};
pub use layer::{ContractLayer, ContractService};
pub use principal::Principal;
pub use protected_resource::ResourceError;
pub use providers::Provider;
pub use refusal::{Cause, Refusal};
pub use state::HasStepUp;
pub use step_up::{BuildError, Builder, StepUp};
pub use token::Standing;
pub use tokens::TokenCache;

pub use stepup_contract::{
    Authentication, Challenge, ClaimPath, Contract, ContractError, ContractErrors, Dialect,
    Endpoint, Finding, HttpMethod, Lacking, Method, ParseNameError, Profile, Requirement,
    RiskLevel, RiskRule, Severity, TextError, Trust, Unlisted,
};
pub use stepup_macros::{policy, routes, service, step_up};
