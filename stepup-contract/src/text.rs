//! The characters that a value may have which is sent in a challenge: acr values, scopes, vendor
//! methods. Anything else could break out of the header's quotes or be split at a space.

use sha2::{Digest, Sha256};
use thiserror::Error;

/// Why a text cannot be an acr value, a scope or a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TextError {
    /// It has no characters.
    #[error("must not be empty")]
    Empty,
    /// A character outside %x21 / %x23-5B / %x5D-7E.
    #[error("must be printable ASCII without spaces, `\"` and `\\`; found {0:?}")]
    Character(char),
    /// More than 256 bytes.
    #[error("must not be longer than 256 bytes")]
    TooLong,
}

/// Checks an acr value, a scope or a vendor's method: 1 to 256 characters of the `scope-token` set
/// of RFC 6749 §3.3, which is also safe inside the quotes of `WWW-Authenticate`.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check_value(value: &str) -> Result<(), TextError> {
    if value.is_empty() {
        return Err(TextError::Empty);
    }
    if let Some(odd) = value.chars().find(|c| !c.is_ascii_graphic() || matches!(c, '"' | '\\')) {
        return Err(TextError::Character(odd));
    }
    if value.len() > 256 {
        return Err(TextError::TooLong);
    }
    Ok(())
}

/// A key as it stands in a JSON pointer (RFC 6901 §3).
pub(crate) fn pointer_token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// A short name for a text, by which a waiver can name it: the first eight bytes of its SHA-256, in
/// hexadecimal.
pub fn fingerprint(text: &str) -> String {
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// A text about routes without the names of their parameters.
pub(crate) fn nameless(text: &str) -> String {
    let mut parts = text.split('{');
    let mut nameless = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, behind) = part.split_once('}').unwrap_or(("", part));
        nameless.push_str(if name.starts_with('*') { "{*}" } else { "{}" });
        nameless.push_str(behind);
    }
    nameless
}
