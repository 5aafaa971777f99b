//! What a program configures: the builder of a `StepUp`, its issuers, and ready-made vocabularies of identity
//! providers.
//!
//! Not here: anything that runs on a request. Uses every folder below it.

pub(crate) mod build_error;
pub(crate) mod builder;
pub(crate) mod issuer;
pub(crate) mod providers;
