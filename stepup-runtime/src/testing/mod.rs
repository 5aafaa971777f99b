//! For tests and examples: a development issuer on loopback, a client with a DPoP key, and a clock that can be set.
//! Never for production: everyone who can reach the issuer can get any token.

mod assert_challenge;
mod assert_contract_current;
mod claims;
mod clock;
mod issuer;
mod json;
mod key;
mod principal;
mod proof;
mod token;

#[cfg(feature = "axum")]
pub use crate::axum::guard::Guard;
pub use assert_challenge::assert_challenge;
pub use assert_contract_current::assert_contract_current;
pub use clock::TestClock;
pub use issuer::TestIssuer;
pub use key::TestAlgorithm;
pub use principal::TestPrincipal;
pub use proof::{TestHolder, TestProof};
pub use token::TestToken;

/// The audience of [`TestIssuer::issuer`] and of the tokens of a [`TestIssuer`].
pub const AUDIENCE: &str = "https://api.test";
