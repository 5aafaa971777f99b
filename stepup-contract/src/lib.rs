//! What a step-up endpoint requires, and whether a caller's authentication satisfies it.
//!
//! This crate is pure: no I/O, no async, no clock. It holds
//!
//! - the words: [`Method`], [`RiskLevel`], [`Requirement`], [`Endpoint`], [`Contract`];
//! - the contract's JSON form, written canonically and read strictly;
//! - [`Profile`], which says how one issuer asks for an authentication and what proves it;
//! - [`findings`], which tells whether an issuer can satisfy a contract; [`compare`], which tells what
//!   one contract lets in that another refuses;
//! - [`decide`], the one decision that the handler, the middleware and the gateway share;
//! - [`record`], the lines that the attribute writes into a program's `.stepup` link section, from
//!   which [`Contract::collect`] and `stepup export` read the very same contract.
//!
//! Tokens, HTTP and axum live in `stepup-runtime`.

mod authentication;
mod challenge;
mod claims;
#[doc(hidden)]
pub mod collect;
mod compare;
mod concerned;
mod contract;
mod decide;
mod document;
mod endpoint;
mod error;
mod gap;
mod http_method;
mod json;
mod lint;
mod matcher;
mod method;
mod overlap;
mod path;
mod profile;
#[cfg(feature = "program")]
pub mod program;
mod readings;
pub mod record;
mod requirement;
mod risk;
mod rule;
mod samples;
mod satisfy;
mod schema;
mod spelling;
mod steps;
mod strict_json;
mod table;
mod text;
mod told;

pub use authentication::{Authentication, Evidence};
pub use challenge::Challenge;
pub use claims::{ClaimPath, numeric_date};
pub use compare::{Axis, Change, Kind, Twin, compare};
pub use contract::{Contract, ContractView, Unlisted, check_base};
pub use decide::{Decision, Lacking, Reason, decide};
pub use endpoint::Endpoint;
pub use error::{ContractError, ContractErrors, ParseNameError, Suggestion};
pub use gap::gaps;
pub use http_method::HttpMethod;
pub use lint::{Lint, lints};
pub use matcher::Matcher;
pub use method::{Method, MethodSet};
pub use path::{PathError, check_path, joined};
pub use profile::{Dialect, Profile};
pub use requirement::{Field, Requirement, RequirementError, Trust};
pub use risk::{RiskLevel, RiskRule};
pub use rule::Rule;
pub use samples::{Tangled, without_names};
pub use satisfy::{Finding, Published, Severity, findings};
pub use schema::schema;
pub use spelling::{Ambiguous, plain_path};
pub use steps::{Step, steps};
pub use strict_json::{StrictJsonError, parse_strict};
pub use table::Table;
pub use text::{TextError, check_value, fingerprint};

#[doc(hidden)]
pub use linkme;
