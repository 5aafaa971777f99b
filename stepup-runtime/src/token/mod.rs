//! From an access token to verified claims: JWT verification, introspection, validity times, and the cache of verified
//! tokens.
//!
//! Not here: what an endpoint requires, and proofs of possession (`dpop`). Uses `issuer`, `request`, `refusal`, `jose`
//! and `support`.

pub(crate) mod cache;
pub(crate) mod claims;
pub(crate) mod identity;
pub(crate) mod introspection;
pub(crate) mod times;
pub(crate) mod verified;
pub(crate) mod verifier;
