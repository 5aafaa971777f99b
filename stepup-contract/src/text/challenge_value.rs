//! The characters of a value that a challenge can contain: acr values, scopes, vendor methods. Any other character
//! could end the header's quoted string, or split the value at a space.

use thiserror::Error;

/// Why a text cannot be an acr value, a scope or a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TextError {
    /// No characters.
    #[error("must not be empty")]
    Empty,
    /// A character outside %x21 / %x23-5B / %x5D-7E.
    #[error("must be printable ASCII without spaces, `\"` and `\\`; found {0:?}")]
    Character(char),
    /// More than 256 bytes.
    #[error("must not be longer than 256 bytes")]
    TooLong,
}

/// Checks an acr value, a scope or a vendor's method: 1 to 256 characters of the `scope-token` set of RFC 6749 §3.3,
/// which is also safe inside the quotes of `WWW-Authenticate`.
///
/// # Errors
/// The first problem.
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
