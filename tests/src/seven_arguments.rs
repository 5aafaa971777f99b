//! A handler with as many arguments as clippy accepts. The guard makes it one more, and clippy must
//! stay silent when this package is checked with `-D warnings`.

use axum::http::{HeaderMap, Method, Uri, Version};
use stepup_runtime::{Principal, step_up};

/// Seven arguments.
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
