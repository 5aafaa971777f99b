//! The JSON form of a contract: parsing in two phases (types first, then rules), and the JSON Schema.
//!
//! Not here: the rules themselves (`model`, `routing`, `path`). Uses these and `text`.

pub(crate) mod endpoint;
pub(crate) mod json;
mod parse;
mod schema;
mod view;

pub use schema::schema;
pub use view::ContractView;
