//! The axum adapter: the guard of a handler, `routes!`, the tower layer, and the routes that serve the metadata. The
//! only folder that uses axum.
//!
//! Not here: decisions. An adapter builds a `RequestHead`, calls enforcement, and attaches the authorized principal to
//! the request. Uses `enforcement` and `config`.

pub(crate) mod extract;
pub(crate) mod guard;
pub(crate) mod layer;
mod metadata_routes;
mod protect;
pub(crate) mod request;
pub(crate) mod routes;
mod session_routes;
mod signal_routes;
pub(crate) mod state;
#[cfg(feature = "testing")]
pub(crate) mod test_server;
mod unlisted_routes;
