//! When a token may be used: `exp`, `nbf` and `iat` (RFC 7519 §4.1.4 to §4.1.6).

use crate::refusal::TokenError;
use serde_json::{Map, Value};
use stepup_contract::numeric_date;

/// The period in which a token may be used, in seconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenTimes {
    expires: Option<u64>,
    not_before: u64,
    issued_at: Option<u64>,
}

impl TokenTimes {
    /// Reads the times from a token's claims. An introspection response may lack `exp`; a `signed` token may not.
    ///
    /// # Errors
    /// [`TokenError::InvalidDate`] or [`TokenError::NeverExpires`].
    pub fn of(claims: &Map<String, Value>, signed: bool) -> Result<Self, TokenError> {
        let expires = date(claims, "exp")?;
        if expires.is_none() && signed {
            return Err(TokenError::NeverExpires);
        }
        let issued_at = date(claims, "iat")?;
        let not_before = date(claims, "nbf")?.max(issued_at).unwrap_or(0);
        Ok(Self { expires, not_before, issued_at })
    }

    /// When the token was issued (`iat`), in seconds since the epoch.
    pub(crate) fn issued_at(self) -> Option<u64> {
        self.issued_at
    }

    /// The period in which both allow use.
    pub(crate) fn and(self, other: Self) -> Self {
        let expires = [self.expires, other.expires].into_iter().flatten().min();
        let not_before = self.not_before.max(other.not_before);
        Self { expires, not_before, issued_at: self.issued_at.or(other.issued_at) }
    }

    /// Checks that the token may be used now. The end is exact; the start may be ahead of this API's clock by the
    /// issuer's skew, in seconds.
    ///
    /// # Errors
    /// [`TokenError::Expired`] or [`TokenError::NotYetValid`].
    pub fn check(&self, now: u64, clock_skew: u32) -> Result<(), TokenError> {
        self.check_expiry(now)?;
        if self.not_before > now.saturating_add(clock_skew.into()) {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }

    /// Checks only that the token has not expired.
    pub(crate) fn check_expiry(&self, now: u64) -> Result<(), TokenError> {
        match self.expires {
            Some(expires) if now >= expires => Err(TokenError::Expired),
            _ => Ok(()),
        }
    }
}

fn date(claims: &Map<String, Value>, name: &str) -> Result<Option<u64>, TokenError> {
    let date = claims.get(name).map(|value| numeric_date(value).ok_or(TokenError::InvalidDate));
    date.transpose()
}
