//! How long the parts of a request may be.

use crate::refusal::InvalidRequest;
use crate::request::head::RequestHead;

/// How long the parts of a request may be. Longer ones are refused before any work is done for them.
///
/// ```
/// use stepup_runtime::RequestLimits;
///
/// // Keycloak's tokens can be longer than the default.
/// let limits = RequestLimits::default().token_bytes(32 * 1024);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    token_bytes: usize,
    target_bytes: usize,
}

impl Default for RequestLimits {
    /// 16 KiB for a token, and 8 KiB for a target.
    fn default() -> Self {
        Self { token_bytes: 16 * 1024, target_bytes: 8 * 1024 }
    }
}

impl RequestLimits {
    /// Limits the access token. A longer one is refused with status 431 (RFC 6585 §5). The server in front may have a
    /// lower limit for headers.
    #[must_use]
    pub fn token_bytes(self, token_bytes: usize) -> Self {
        Self { token_bytes, ..self }
    }

    /// Limits the path and the query. Where the contract is enforced as a whole (by `protect`, a layer or a gateway), a
    /// longer target is refused with status 414 (RFC 9110 §15.5.15).
    #[must_use]
    pub fn target_bytes(self, target_bytes: usize) -> Self {
        Self { target_bytes, ..self }
    }

    pub(crate) fn check_token(self, token: &[u8]) -> Result<(), InvalidRequest> {
        if token.len() > self.token_bytes { Err(InvalidRequest::TokenTooLong) } else { Ok(()) }
    }

    pub(crate) fn check_target(self, head: &RequestHead<'_>) -> Result<(), InvalidRequest> {
        let length = head.target().path_and_query().map_or(0, |target| target.as_str().len());
        if length > self.target_bytes { Err(InvalidRequest::TargetTooLong) } else { Ok(()) }
    }
}
