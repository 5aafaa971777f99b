//! A handler with as many arguments as clippy accepts. The attribute adds one. Clippy must not report that when this
//! package is checked with `-D warnings`.

use axum::http::{HeaderMap, Method, Uri, Version};
use stepup_runtime::{Principal, step_up};

/// A guarded handler with seven arguments.
#[step_up(post = "/seven-arguments", methods = ["mfa"])]
pub async fn handler(
    _user: Principal,
    _headers: HeaderMap,
    _method: Method,
    _uri: Uri,
    _version: Version,
    _again: Uri,
    _body: String,
) {
}
