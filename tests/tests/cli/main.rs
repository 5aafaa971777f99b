//! The `stepup` command: check, diff, explain, export and render.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

mod assert_contract_current;
mod broken_pipe;
mod changes;
mod check;
mod diff;
mod examples;
mod explain;
mod export;
mod render;
mod satisfiable;
mod schema;
