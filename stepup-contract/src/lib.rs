//! What a step-up endpoint requires, and whether a caller's authentication satisfies it.
//!
//! This crate is pure: no I/O, no async, no clock. It contains
//!
//! - the vocabulary: [`Method`], [`RiskLevel`], [`Requirement`], [`Endpoint`], [`Contract`];
//! - the contract's JSON form, written canonically and parsed strictly;
//! - [`Profile`], an issuer's vocabulary: which `acr_values` request an authentication, and what proves one;
//! - [`decide`], the one decision that the handler, the middleware and the gateway share;
//! - [`Matcher`], which finds the endpoint of a request;
//! - [`findings`], which checks whether an issuer can satisfy a contract; [`compare`], which lists what one contract
//!   authorizes and another refuses; [`lints`], which lists likely mistakes;
//! - [`record`], the lines that the attribute writes into a program's `.stepup` link section, from which
//!   [`Contract::collect`] and `stepup export` read the same contract.
//!
//! Tokens, HTTP and axum are in `stepup-runtime`.

mod comparison;
mod decision;
mod document;
mod link_section;
mod lint;
mod model;
mod path;
mod profile;
mod routing;
mod text;

pub use comparison::{Axis, Change, Kind, compare, weakened_fields};
pub use decision::{Challenge, Decision, Evidence, Lacking, Reason, Step, decide, trace};
pub use document::{ContractView, schema};
#[doc(hidden)]
pub use link_section::collect;
#[cfg(feature = "program")]
pub use link_section::object_file;
pub use link_section::record;
pub use lint::{Lint, Rule, lints};
pub use model::{
    Contract, ContractError, ContractErrors, Endpoint, Field, HttpMethod, Method, MethodSet,
    Requirement, RequirementError, RiskLevel, RiskRule, Trust, Unlisted, joined,
};
pub use path::{
    PathAmbiguity, PathError, TooManyOverlaps, canonical_path, check_base, check_path,
    without_names,
};
pub use profile::{
    Authentication, ClaimPath, Dialect, Finding, Profile, Published, Severity, findings,
    numeric_date,
};
pub use routing::{Matcher, Table};
pub use text::{ParseNameError, StrictJsonError, Suggestion, TextError, check_value, parse_strict};

#[doc(hidden)]
pub use linkme;
