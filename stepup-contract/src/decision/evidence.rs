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
    /// Whether the token is sender-constrained and was presented with its proof.
    pub bound: bool,
    /// Whether this call was confirmed.
    pub confirmed: bool,
}

impl<'a> Evidence<'a> {
    /// The evidence of a token alone: unknown risk, not bound, not confirmed.
    pub fn of(authentication: &'a Authentication) -> Self {
        Self { authentication, risk: None, bound: false, confirmed: false }
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

    /// The same with a confirmation of this call, or without.
    #[must_use]
    pub fn confirmed(self, confirmed: bool) -> Self {
        Self { confirmed, ..self }
    }
}
