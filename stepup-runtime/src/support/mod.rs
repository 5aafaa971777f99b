//! Small utilities that know nothing about tokens or step-up: the clock, HTTP to an issuer, single flight, the circuit
//! breaker, digests and log limits.
//!
//! Not here: anything that knows a requirement, a token or a request. Uses no other folder of this crate.

pub(crate) mod circuit_breaker;
pub(crate) mod clock;
pub(crate) mod digest;
pub(crate) mod error_chain;
pub(crate) mod expiring_set;
pub(crate) mod http_client;
pub(crate) mod log_limit;
pub(crate) mod single_flight;
