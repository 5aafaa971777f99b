//! Which endpoint a request matches, with axum's precedence, and the checks that make a list of endpoints a contract.
//!
//! Not here: what an endpoint requires. Uses `path` and `model`.

mod matcher;
mod table;
pub(crate) mod validate;

pub use matcher::Matcher;
pub use table::Table;
pub(crate) use table::{lenient_segments, method_rank};
