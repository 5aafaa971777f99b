//! The authentication schemes of access tokens.

/// How a token is presented: the scheme of the `Authorization` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RFC 6750: the token alone authorizes the caller.
    Bearer,
    /// RFC 9449 §7.1: the caller also proves possession of the token's key.
    Dpop,
}

impl Scheme {
    /// The scheme that a caller must use for a token, depending on whether the token must be bound to a key.
    pub(crate) fn for_binding(must_be_bound: bool) -> Self {
        if must_be_bound { Self::Dpop } else { Self::Bearer }
    }
}
