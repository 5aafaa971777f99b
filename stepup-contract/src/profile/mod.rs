//! An issuer's vocabulary: where its tokens state the authentication, which `acr_values` request a method and which
//! `acr` proves one, and whether the issuer can satisfy a contract.
//!
//! Not here: the decision. Uses `routing` and `model`.

mod acr_values;
mod authentication;
mod claim_path;
#[expect(clippy::module_inception, reason = "the folder is named after its main type")]
mod profile;
mod satisfiability;

pub use authentication::Authentication;
pub use claim_path::{ClaimPath, numeric_date};
pub use profile::{Dialect, Profile};
pub use satisfiability::{Finding, Published, Severity, findings};
