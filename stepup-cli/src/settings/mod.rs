//! What people configure, by flags, environment variables or `stepup.toml`: lints, waivers, accepted changes, issuers,
//! and the gateway.
//!
//! Uses `request` and `report`.

pub(crate) mod accepted_changes;
#[cfg(feature = "gateway")]
pub(crate) mod environment;
mod expiry;
pub(crate) mod file;
pub(crate) mod gateway_options;
pub(crate) mod identity;
pub(crate) mod issuer;
pub(crate) mod listen;
pub(crate) mod waivers;
