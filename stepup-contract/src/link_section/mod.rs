//! The contract inside a program: the lines that the attribute writes into the link section `.stepup`, and how a
//! contract is read from them, in the running program or in its file.
//!
//! Not here: the JSON form of a contract (`document`). Uses `document`, `routing`, `path`, `model` and `text`.

#[doc(hidden)]
pub mod collect;
#[cfg(feature = "program")]
pub mod object_file;
pub mod record;
