//! The subcommands: the arguments of each, and the order of its steps.
//!
//! Uses every folder below it.

pub(crate) mod check;
pub(crate) mod diff;
pub(crate) mod explain;
pub(crate) mod export;
#[cfg(feature = "gateway")]
pub(crate) mod gateway;
pub(crate) mod render;
