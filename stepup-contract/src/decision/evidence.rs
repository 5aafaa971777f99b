//! The evidence for a decision, at the time of one request.

use crate::model::RiskLevel;
use crate::profile::Authentication;

/// Everything that a decision is based on, at the time of one request.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Evidence<'a> {
    /// What the token proves.
    pub authentication: &'a Authentication,
    /// The session's risk, if it is known.
    pub risk: Option<RiskLevel>,
    /// Authentications at or before this time do not count (seconds since the epoch).
    pub reauthenticate_after: Option<u64>,
    /// Whether the token is sender-constrained and was presented with its proof.
    pub bound: bool,
    /// Whether this call was confirmed.
    pub confirmed: bool,
}

impl<'a> Evidence<'a> {
    /// The evidence of a token alone: unknown risk, not bound, not confirmed, and its authentication counts.
    pub fn of(authentication: &'a Authentication) -> Self {
        Self {
            authentication,
            risk: None,
            reauthenticate_after: None,
            bound: false,
            confirmed: false,
        }
    }

    /// The same with a token that is bound and was presented with its proof, or not.
    #[must_use]
    pub fn bound(self, bound: bool) -> Self {
        Self { bound, ..self }
    }

    /// Adds the session's risk.
    #[must_use]
    pub fn risk(self, risk: Option<RiskLevel>) -> Self {
        Self { risk, ..self }
    }

    /// Requires an authentication after this time. An authentication at an unknown time does not count either.
    #[must_use]
    pub fn reauthenticate_after(self, time: Option<u64>) -> Self {
        Self { reauthenticate_after: time, ..self }
    }

    /// Whether the authentication counts: whether it is later than any required reauthentication.
    pub(crate) fn counts(&self, now: u64) -> bool {
        let Some(after) = self.reauthenticate_after else { return true };
        let Authentication { auth_time, .. } = self.authentication;
        self.authentication.age(now).is_some() && auth_time.is_some_and(|time| time > after)
    }

    /// The same with a confirmation of this call, or without.
    #[must_use]
    pub fn confirmed(self, confirmed: bool) -> Self {
        Self { confirmed, ..self }
    }
}
