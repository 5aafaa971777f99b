//! Enforcement: from a request to an allow or a refusal. The guard, the tower layer and the gateway all use it.
//!
//! A request takes one path: [`enforce`] reads the credential, gets the verified token (without waiting if it is
//! cached), checks its times and its proof, and calls `decide`. Every outcome leaves through [`outcome`].
//!
//! Not here: any HTTP framework, and how a program configures enforcement (`config`). Uses `dpop`, `token`, `issuer`,
//! `request`, `refusal` and `support`.

pub(crate) mod allowed_origins;
pub(crate) mod contract_enforcer;
pub(crate) mod enforce;
pub(crate) mod enforceability;
pub(crate) mod enforcement_future;
pub(crate) mod metadata;
pub(crate) mod outcome;
pub(crate) mod principal;
pub(crate) mod protected_resource;
pub(crate) mod risk_source;
pub(crate) mod step_up;
mod step_up_report;
