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

    /// The name in `Authorization` and `WWW-Authenticate`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }
}

/// The schemes in which a caller may present a token. A challenge names each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AcceptedSchemes {
    /// Only this scheme.
    Only(Scheme),
    /// Bearer, or DPoP for a bound token.
    Both,
}

impl AcceptedSchemes {
    pub(crate) fn as_slice(&self) -> &[Scheme] {
        match self {
            Self::Only(scheme) => std::slice::from_ref(scheme),
            Self::Both => &[Scheme::Bearer, Scheme::Dpop],
        }
    }
}

impl From<Scheme> for AcceptedSchemes {
    fn from(scheme: Scheme) -> Self {
        Self::Only(scheme)
    }
}
