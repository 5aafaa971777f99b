//! Contracts as commands receive them: JSON, or a compiled program that contains one.
//!
//! Uses `report`.

pub(crate) mod binary;
pub(crate) mod build;
pub(crate) mod input;
mod json_lines;
