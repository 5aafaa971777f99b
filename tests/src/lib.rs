//! Helpers that the tests share.

pub mod server;
pub mod seven_arguments;
pub mod vectors;
