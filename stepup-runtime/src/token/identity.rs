//! Whom a token belongs to: its session and its subject, at its issuer, as keys of a fixed size. Session state is found by
//! these keys, so that a request compares no texts and allocates nothing.

use crate::support::digest::sha256;

/// Identifies a session or a subject of an issuer, optionally restricted to one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct IdentityKey([u64; 2]);

impl IdentityKey {
    /// The key of a session: the issuer's `sid`.
    pub(crate) fn session(issuer: &str, sid: &str, client: Option<&str>) -> Self {
        Self::of(["session", issuer, sid], client)
    }

    /// The key of a subject: the issuer's `sub`.
    pub(crate) fn subject(issuer: &str, subject: &str, client: Option<&str>) -> Self {
        Self::of(["subject", issuer, subject], client)
    }

    /// The key as bytes.
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        let [high, low] = self.0.map(u64::to_be_bytes);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&high);
        bytes[8..].copy_from_slice(&low);
        bytes
    }

    /// Half of a SHA-256 digest: different names have different keys.
    fn of(names: [&str; 3], client: Option<&str>) -> Self {
        let mut text = Vec::with_capacity(256);
        for name in names.into_iter().chain(client) {
            text.extend_from_slice(&(name.len() as u64).to_be_bytes());
            text.extend_from_slice(name.as_bytes());
        }
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = sha256(&text);
        Self([
            u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            u64::from_be_bytes([i, j, k, l, m, n, o, p]),
        ])
    }
}

/// Whom a token belongs to, and when that user authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenIdentity {
    /// The session, if the token has a `sid`.
    pub(crate) session: Option<IdentityKey>,
    pub(crate) session_at_client: Option<IdentityKey>,
    pub(crate) subject: IdentityKey,
    pub(crate) subject_at_client: Option<IdentityKey>,
    /// When the user authenticated: `auth_time`, else `iat`, and the earlier one of both. Zero if neither is known.
    pub(crate) authenticated_at: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_names_have_different_keys() {
        let keys = [
            IdentityKey::session("a", "b", None),
            IdentityKey::subject("a", "b", None),
            IdentityKey::subject("ab", "", None),
            IdentityKey::subject("a", "b", Some("")),
            IdentityKey::subject("a", "b", Some("c")),
            IdentityKey::subject("a", "bc", None),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "{index}");
        }
        assert_eq!(keys[0], IdentityKey::session("a", "b", None));
    }
}
