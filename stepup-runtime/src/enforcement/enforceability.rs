//! Which requirements this version cannot enforce. An endpoint with such a requirement is refused wherever possible:
//! when it is mounted, when its contract is passed to the builder, and on every request.

use crate::enforcement::step_up::StepUp;
use stepup_contract::Requirement;

impl StepUp {
    /// Why this requirement cannot be enforced with this configuration.
    pub(crate) fn unenforceable(&self, requirement: &Requirement) -> Option<&'static str> {
        unenforceable(requirement, self.capabilities())
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        Capabilities { proofs: self.0.proofs.is_some(), sessions: self.0.sessions.is_some() }
    }
}

/// What a configuration can check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// DPoP proofs: the API's address is configured.
    pub proofs: bool,
    /// Sessions and their risk: a session log is configured.
    pub sessions: bool,
}

impl Capabilities {
    /// Everything that can be configured.
    pub const ALL: Self = Self { proofs: true, sessions: true };
}

/// Why this version cannot enforce a requirement with these capabilities, if it cannot. An endpoint with such a
/// requirement refuses every request with 500.
pub fn unenforceable(
    requirement: &Requirement,
    capabilities: Capabilities,
) -> Option<&'static str> {
    if requirement.per_action {
        Some("per_action is not supported yet, and would refuse every request; remove it")
    } else if requirement.risk.is_some() && !capabilities.sessions {
        Some(
            "risk needs a session log; call StepUp::builder().sessions(Sessions::open(\"sessions.redb\")?) \
             (--sessions)",
        )
    } else if requirement.bound && !capabilities.proofs {
        Some(
            "bound needs the address that DPoP proofs are made for; call \
             StepUp::builder().resource(\"https://api.example\") (--resource)",
        )
    } else {
        None
    }
}
