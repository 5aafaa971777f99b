//! Likely mistakes in a contract.
//!
//! Not here: errors, which make a document no contract (`document`). Uses `comparison`, `routing`, `path` and `model`.

mod lints;
mod rule;

pub use lints::{Lint, lints};
pub use rule::Rule;
