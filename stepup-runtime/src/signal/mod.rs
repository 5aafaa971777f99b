//! Signals from identity providers become notices: logout tokens (OpenID Connect Back-Channel Logout 1.0) and security event
//! tokens (RFC 8417) of the Shared Signals Framework, with the events of CAEP and RISC.
//!
//! Not here: HTTP routes, and what a notice changes. Uses `session`, `issuer`, `refusal`, `jose` and `support`.

mod event;
mod logout_token;
pub(crate) mod receiver;
mod security_event_token;
mod subject_identifier;
pub(crate) mod transmitter;
