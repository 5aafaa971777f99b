//! Token introspection (RFC 7662): how it is configured, the client, its authentication, and the response, plain or
//! signed (RFC 9701).

mod admission;
pub(crate) mod client;
pub(crate) mod client_auth;
pub(crate) mod options;
mod response;
