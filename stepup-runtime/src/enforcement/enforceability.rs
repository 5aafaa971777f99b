//! Which requirements this version cannot enforce. An endpoint with such a requirement is refused wherever possible:
//! when it is mounted, when its contract is passed to the builder, and on every request.

use crate::enforcement::step_up::StepUp;
use stepup_contract::Requirement;

impl StepUp {
    /// Why this requirement cannot be enforced with this configuration.
    pub(crate) fn unenforceable(&self, requirement: &Requirement) -> Option<&'static str> {
        unenforceable(requirement, self.0.proofs.is_some())
    }
}

/// Why this version cannot enforce a requirement, if it cannot. `proofs` is whether DPoP proofs can be checked. An
/// endpoint with such a requirement refuses every request with 500.
pub fn unenforceable(requirement: &Requirement, proofs: bool) -> Option<&'static str> {
    if requirement.per_action {
        Some("per_action is not supported yet, and would refuse every request; remove it")
    } else if requirement.risk.is_some() {
        Some("risk is not supported yet, and would refuse every request; remove it")
    } else if requirement.bound && !proofs {
        Some(
            "bound needs the address that DPoP proofs are made for; call \
             StepUp::builder().resource(\"https://api.example\") (--resource)",
        )
    } else {
        None
    }
}
