//! JSON Web Signatures and keys (RFC 7515, RFC 7517): algorithms, public keys, key sets, compact JWS, signing.
//!
//! Not here: what the claims of a token mean. Uses no other folder of this crate.

pub(crate) mod algorithm;
pub(crate) mod jwk;
pub(crate) mod jwk_set;
pub(crate) mod jws;
pub(crate) mod signing_key;
