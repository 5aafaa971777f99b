//! DPoP (RFC 9449): proofs that the caller has the key to which a token is bound, their nonces and their replay cache.
//!
//! Not here: the token itself. Uses `token`, `request`, `refusal`, `jose` and `support`.

pub(crate) mod nonce;
pub(crate) mod options;
pub(crate) mod possession;
pub(crate) mod proof;
pub(crate) mod replay;
pub(crate) mod verified_proof;
