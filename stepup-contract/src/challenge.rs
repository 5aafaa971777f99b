//! What a client has to ask its IdP for, to cure a refusal (RFC 9470 §3). Pure data; the runtime
//! turns it into a header and a problem body.

use crate::decide::Reason;
use crate::profile::Profile;
use crate::requirement::Requirement;

/// The cure for a refusal that a client can cure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Challenge {
    /// One of these is required, in order of preference.
    pub acr_values: Vec<String>,
    /// Seconds since the last active authentication.
    pub max_age: Option<u32>,
    /// The scopes to request.
    pub scope: Vec<String>,
}

impl Challenge {
    /// The cure for this reason at an issuer of this profile, if there is one.
    ///
    /// A step-up challenge names everything that the endpoint asks, not only what is lacking: the
    /// login that it causes replaces the old one and must satisfy all of it at once.
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
