//! The path of a request as its client sent it. A nested axum router takes its prefix off the
//! request's `Uri`, and keeps the whole beside it.

use axum::extract::OriginalUri;
use http::Uri;
use http::request::Parts;

/// The whole of it.
pub(crate) fn whole_uri(head: &Parts) -> &Uri {
    head.extensions.get::<OriginalUri>().map_or(&head.uri, |original| &original.0)
}

/// The whole path.
pub(crate) fn whole_path(head: &Parts) -> &str {
    whole_uri(head).path()
}
