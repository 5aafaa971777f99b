//! Risk levels, and the rule that makes an endpoint depend on them.

use crate::text::{ParseNameError, Suggestion};
use std::fmt;
use std::str::FromStr;

/// The risk of a session, as the identity provider's signals report it (CAEP `risk-level-change`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RiskLevel {
    /// Nothing unusual.
    Low,
    /// Unusual, but plausible.
    Medium,
    /// Likely abuse.
    High,
    /// Abuse is under way or confirmed.
    Critical,
}

impl RiskLevel {
    /// Every level, ascending.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The name in the attribute and in the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for RiskLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for RiskLevel {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|level| level.as_str() == text).ok_or_else(|| {
            let suggestion = Suggestion::among(text, Self::ALL.iter().map(|l| l.as_str()));
            let suggestion = suggestion.or("the levels are low, medium, high and critical");
            ParseNameError::new(format!("unknown risk level `{text}`{suggestion}"))
        })
    }
}

impl serde::Serialize for RiskLevel {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// How an endpoint depends on the session's risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RiskRule {
    /// The step-up is required from this level on; an unknown risk counts as this level. Without it the step-up is
    /// always required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_up: Option<RiskLevel>,
    /// From this level on the call is refused, without a way to recover. An unknown risk counts as the level in
    /// `step_up`; without that level the call is not refused, but requires the step-up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<RiskLevel>,
}

impl RiskRule {
    /// Whether a session of this risk is refused.
    pub(crate) fn denies(self, risk: Option<RiskLevel>) -> bool {
        let level = risk.or(self.step_up);
        matches!((level, self.deny), (Some(level), Some(deny)) if level >= deny)
    }

    /// Whether a session of this risk needs no step-up. With an unknown risk it always does.
    pub(crate) fn waives_step_up(self, risk: Option<RiskLevel>) -> bool {
        matches!((risk, self.step_up), (Some(level), Some(from)) if level < from)
    }
}
