//! From when until when a token may be used (RFC 7519 §4.1.4 to §4.1.6).

use crate::refusal::Cause;
use serde_json::{Map, Value};
use stepup_contract::numeric_date;

/// See the module. In seconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    expires: Option<u64>,
    not_before: u64,
}

impl Times {
    /// What these claims say. What an issuer says of a token need not have an end; a token that is `signed` must.
    ///
    /// # Errors
    /// When a date cannot be read, or the end is missing.
    pub fn of(claims: &Map<String, Value>, signed: bool) -> Result<Self, Cause> {
        let expires = date(claims, "exp")?;
        if expires.is_none() && signed {
            return Err(Cause::InvalidToken("the token never expires"));
        }
        let not_before = date(claims, "nbf")?.max(date(claims, "iat")?).unwrap_or(0);
        Ok(Self { expires, not_before })
    }

    /// The time in which both may be used.
    pub(crate) fn and(self, other: Self) -> Self {
        let expires = [self.expires, other.expires].into_iter().flatten().min();
        Self { expires, not_before: self.not_before.max(other.not_before) }
    }

    /// Whether the token may be used now. Its end is exact; its beginning may be ahead of our clock by the issuer's
    /// skew, in seconds.
    ///
    /// # Errors
    /// When it has ended, or has not begun.
    pub fn check(&self, now: u64, clock_skew: u32) -> Result<(), Cause> {
        self.check_end(now)?;
        if self.not_before > now.saturating_add(clock_skew.into()) {
            return Err(Cause::InvalidToken("the token is not valid yet"));
        }
        Ok(())
    }

    /// Whether it has not ended.
    pub(crate) fn check_end(&self, now: u64) -> Result<(), Cause> {
        match self.expires {
            Some(expires) if now >= expires => Err(Cause::InvalidToken("the token has expired")),
            _ => Ok(()),
        }
    }
}

fn date(claims: &Map<String, Value>, name: &str) -> Result<Option<u64>, Cause> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => numeric_date(value)
            .map(Some)
            .ok_or(Cause::InvalidToken("a date in the token is not a number of seconds")),
    }
}
