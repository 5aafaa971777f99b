//! The source code itself: the folders' dependencies, and the compile errors of the macros.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod architecture;
mod compile_errors;
