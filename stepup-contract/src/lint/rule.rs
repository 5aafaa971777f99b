//! The rules that [`lints`](crate::lints) checks.

use crate::text::{ParseNameError, Suggestion};
use std::fmt;
use std::str::FromStr;

/// A rule that detects a likely mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// A handler has no route, so no contract lists it.
    NoRoute,
    /// An endpoint has a requirement that cannot be enforced, so all its requests are refused.
    Unenforceable,
    /// An endpoint that changes state is `standard`.
    StateChangingStandard,
    /// An endpoint that changes state is `public`.
    StateChangingPublic,
    /// A public endpoint without a `reason`.
    NoReason,
    /// A `max-age` above a limit.
    LongMaxAge,
    /// A `max-age` of 0: any redirect takes longer.
    ZeroMaxAge,
    /// A code by text message or telephone alone is enough.
    SmsOnly,
    /// A sensitive endpoint without a `max-age`.
    NoMaxAge,
    /// An endpoint requires no scope.
    NoScopes,
    /// An endpoint takes requests from a more general one, and requires less.
    Shadowed,
    /// Some servers cannot distinguish an endpoint from a stricter one.
    Lookalike,
    /// Requests that match no endpoint are allowed.
    UnlistedAllow,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 13] = [
        Self::NoRoute,
        Self::Unenforceable,
        Self::StateChangingStandard,
        Self::StateChangingPublic,
        Self::NoReason,
        Self::LongMaxAge,
        Self::ZeroMaxAge,
        Self::SmsOnly,
        Self::NoMaxAge,
        Self::NoScopes,
        Self::Shadowed,
        Self::Lookalike,
        Self::UnlistedAllow,
    ];

    /// The rule's name, for people and for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoRoute => "no-route",
            Self::Unenforceable => "unenforceable",
            Self::StateChangingStandard => "state-changing-standard",
            Self::StateChangingPublic => "state-changing-public",
            Self::NoReason => "no-reason",
            Self::LongMaxAge => "long-max-age",
            Self::ZeroMaxAge => "zero-max-age",
            Self::SmsOnly => "sms-only",
            Self::NoMaxAge => "no-max-age",
            Self::NoScopes => "no-scopes",
            Self::Shadowed => "shadowed",
            Self::Lookalike => "lookalike",
            Self::UnlistedAllow => "unlisted-allow",
        }
    }

    /// What the rule finds, in one sentence.
    pub fn description(self) -> &'static str {
        match self {
            Self::NoRoute => "A handler has no route, so no contract lists it",
            Self::Unenforceable => {
                "An endpoint has a requirement that cannot be enforced, and refuses all requests"
            }
            Self::StateChangingStandard => {
                "An endpoint that changes state requires no more than a valid token"
            }
            Self::StateChangingPublic => "Everybody may call an endpoint that changes state",
            Self::NoReason => "An endpoint is public and does not state why",
            Self::LongMaxAge => "An endpoint accepts an authentication older than the limit",
            Self::ZeroMaxAge => "A max-age of 0 cannot be satisfied by a login",
            Self::SmsOnly => "A code sent by text message or phone call is enough on its own",
            Self::NoMaxAge => "A sensitive endpoint accepts an authentication of any age",
            Self::NoScopes => "An endpoint requires no scope",
            Self::Shadowed => {
                "An endpoint takes requests from a more general one, and requires less"
            }
            Self::Lookalike => "Some servers cannot distinguish an endpoint from a stricter one",
            Self::UnlistedAllow => "Requests that match no endpoint are allowed",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Rule {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = || Self::ALL.iter().map(|rule| rule.as_str());
        Self::ALL.into_iter().find(|rule| rule.as_str() == text).ok_or_else(|| {
            let known = format!("the lints are {}", names().collect::<Vec<_>>().join(", "));
            let suggestion = Suggestion::among(text, names()).or(known);
            ParseNameError::new(format!("unknown lint `{text}`{suggestion}"))
        })
    }
}
