//! Helpers that the tests share.
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

pub mod browser;
pub mod command;
pub mod peers;
pub mod scripted;
pub mod server;
pub mod seven_arguments;
pub mod vectors;

/// The README's examples compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
