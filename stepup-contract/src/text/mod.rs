//! Text without knowledge of contracts: strict JSON, JSON pointers, the characters that a challenge may contain, and
//! suggestions for misspelled names.
//!
//! Uses no other folder.

mod challenge_value;
pub(crate) mod json_pointer;
mod name;
mod strict_json;

pub use challenge_value::{TextError, check_value};
pub use name::{ParseNameError, Suggestion};
pub(crate) use strict_json::parse_with_duplicates;
pub use strict_json::{StrictJsonError, parse_strict};
