//! The HTTP API of a service over real sockets: the guard, the layer, tokens, issuers and refusals.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

mod answers;
mod decision_vectors;
mod dpop;
mod hostile;
mod introspection;
mod keys;
mod layer;
mod metadata;
mod oidc;
mod protect;
mod providers;
mod public;
mod session_file;
mod session_logs;
mod session_protocol;
mod sessions;
mod signals;
mod token_cache;
