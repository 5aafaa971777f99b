//! Paths: templates in axum's syntax, the canonical form of a request's path, the variants in which servers read a
//! path, and representative paths of a set of templates.
//!
//! Not here: endpoints. Uses no other folder.

pub(crate) mod canonical;
pub(crate) mod representatives;
pub(crate) mod template;
pub(crate) mod variants;

pub use canonical::{PathAmbiguity, canonical_path};
pub use representatives::{TooManyOverlaps, without_names};
pub use template::{PathError, check_base, check_path};
