//! Trusted issuers (identity providers): their metadata, and their keys with scheduled and on-demand refresh.
//!
//! Not here: how a program configures an issuer (`config`), and what a token's claims mean (`token`). Uses `jose`,
//! `refusal` and `support`.

pub(crate) mod discovery;
pub(crate) mod key_store;
pub(crate) mod trusted;
