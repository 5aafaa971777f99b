//! What a client must request from its identity provider to recover from a refusal (RFC 9470 §3). Pure data; the
//! runtime turns it into a header and a problem body.

use crate::decision::decide::Reason;
use crate::model::Requirement;
use crate::profile::Profile;

/// What a client must request to recover from a refusal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Challenge {
    /// One of these is required, in order of preference.
    pub acr_values: Vec<String>,
    /// Seconds since the last active authentication.
    pub max_age: Option<u32>,
    /// The scopes to request.
    pub scope: Vec<String>,
}

impl Challenge {
    /// A challenge of these parts.
    pub fn new(acr_values: Vec<String>, max_age: Option<u32>, scope: Vec<String>) -> Self {
        Self { acr_values, max_age, scope }
    }

    /// Requires an authentication after this time, if any: the identity provider must not reuse an earlier one. Times are
    /// in seconds since the epoch.
    #[must_use]
    pub fn reauthenticating_after(self, time: Option<u64>, now: u64) -> Self {
        let longest = time.map(|time| {
            let since = now.saturating_sub(time).saturating_sub(1);
            u32::try_from(since).unwrap_or(u32::MAX)
        });
        let max_age = [self.max_age, longest].into_iter().flatten().min();
        Self { max_age, ..self }
    }

    /// The challenge for this reason at an issuer with this profile, if the client can recover.
    ///
    /// A step-up challenge names everything that the endpoint requires, not only what is missing: the new login
    /// replaces the old one and must satisfy all of it.
    pub fn for_reason(
        reason: Reason,
        requirement: &Requirement,
        profile: &Profile,
    ) -> Option<Self> {
        match reason {
            Reason::StepUp(_) | Reason::Confirmation => Some(Self {
                acr_values: profile.acr_values(requirement),
                max_age: requirement.max_age,
                scope: requirement.scopes.clone(),
            }),
            Reason::Scope => Some(Self { scope: requirement.scopes.clone(), ..Self::default() }),
            Reason::NotBound | Reason::IssuerBarred | Reason::Risk => None,
        }
    }
}
