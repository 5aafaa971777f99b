//! The path of a request as its client sent it. A nested axum router takes its prefix off the
//! request's `Uri`, and keeps the whole beside it.

use axum::extract::OriginalUri;
use http::request::Parts;

/// The whole path.
pub(crate) fn whole_path(head: &Parts) -> &str {
    head.extensions.get::<OriginalUri>().map_or(head.uri.path(), |original| original.0.path())
}
