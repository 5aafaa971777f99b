//! A client's request, as a gateway or the command line describes it.
//!
//! Uses no other folder.

pub(crate) mod client_request;
