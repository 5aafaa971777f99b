//! What happened to sessions and subjects after their tokens were issued: notices, the state that they amount to, and the
//! log that keeps them. A request finds the state in memory, without a round trip.
//!
//! Not here: how signals become notices, and decisions. Uses `token` and `support`.

#[cfg(test)]
mod conformance;
pub(crate) mod directory;
mod index;
pub(crate) mod log;
pub(crate) mod manager;
mod memory_log;
pub(crate) mod notice;
#[cfg(feature = "redb")]
mod redb_log;
#[cfg(feature = "redis")]
mod redis_log;
#[cfg(feature = "redis")]
mod redis_server;
pub(crate) mod sessions;
pub(crate) mod state;
pub(crate) mod store;
