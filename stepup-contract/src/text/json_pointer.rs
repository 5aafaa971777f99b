//! JSON pointers (RFC 6901).

/// A key as a part of a JSON pointer (RFC 6901 §3).
pub(crate) fn pointer_token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
