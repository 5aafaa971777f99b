//! The comparison of two contracts, and of the endpoints of one contract: which change authorizes more callers, and
//! which endpoint takes requests from a stricter one.
//!
//! Not here: which of these findings matter (`lint`, and the cli). Uses `routing`, `path` and `model`.

mod compare;
pub(crate) mod conflicts;
mod description;
mod weakening;

pub use compare::{Axis, Change, Kind, compare};
pub use weakening::weakened_fields;
