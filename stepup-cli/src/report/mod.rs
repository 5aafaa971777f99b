//! What commands print: findings in several formats, failures with their exit codes, and contract values as text that
//! terminals, pages and logs cannot misinterpret.
//!
//! Uses no other folder.

pub(crate) mod challenges;
pub(crate) mod display;
pub(crate) mod failure;
pub(crate) mod findings;
pub(crate) mod output;
pub(crate) mod position;
pub(crate) mod waived;
