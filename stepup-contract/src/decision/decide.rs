//! The one decision: whether this authentication satisfies this requirement now.
//!
//! Guard, tower layer and gateway all use it. The function is pure, without I/O and allocation. Missing evidence is
//! weak evidence: absent data never satisfies a requirement.

use crate::decision::evidence::Evidence;
use crate::model::{Requirement, Trust};

/// Allow, or a refusal with its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "an ignored decision protects nothing"]
pub enum Decision {
    /// The handler may run.
    Allow,
    /// The handler must not run.
    Refuse(Reason),
}

/// Why a call is refused, in the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The endpoint requires a sender-constrained token, and this is a bearer token.
    NotBound,
    /// This issuer's users may not call sensitive endpoints.
    IssuerBarred,
    /// The session's risk is too high; no login helps.
    Risk,
    /// A stronger or more recent authentication is required (RFC 9470).
    StepUp(Lacking),
    /// Only scopes are missing (RFC 6750 §3.1).
    Scope,
    /// This call needs its own confirmation.
    Confirmation,
}

/// What a step-up must provide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Lacking {
    /// A required method is not proven.
    pub methods: bool,
    /// The `acr` is none of the required ones.
    pub acr: bool,
    /// The authentication is too old, or its time is unknown, or it does not count because a later one is required.
    pub max_age: bool,
    /// A scope is missing too.
    pub scope: bool,
}

/// Decides whether the evidence satisfies a requirement. `now` is in seconds since the epoch.
///
/// The order is always: bound, issuer, risk, step-up, scopes, confirmation.
pub fn decide(requirement: &Requirement, evidence: &Evidence<'_>, now: u64) -> Decision {
    let authentication = evidence.authentication;
    if requirement.bound && !evidence.bound {
        return Decision::Refuse(Reason::NotBound);
    }
    let sensitive = requirement.trust() == Trust::Sensitive;
    if sensitive && !authentication.may_step_up {
        return Decision::Refuse(Reason::IssuerBarred);
    }
    if requirement.risk.is_some_and(|rule| rule.denies(evidence.risk)) {
        return Decision::Refuse(Reason::Risk);
    }
    let scope = !requirement.scopes.iter().all(|scope| authentication.scopes.contains(scope));
    let waived = requirement.risk.is_some_and(|rule| rule.waives_step_up(evidence.risk));
    if !waived {
        let proven = |method| authentication.methods.contains(method);
        let methods = !requirement.methods.iter().all(proven)
            || !(requirement.any_methods.is_empty() || requirement.any_methods.iter().any(proven));
        let acr = !requirement.acr.is_empty()
            && !authentication.acr.iter().any(|acr| requirement.acr.contains(acr));
        let max_age = requirement.max_age.is_some_and(|max_age| {
            authentication.age(now).is_none_or(|age| age > u64::from(max_age))
        });
        let max_age = max_age || (sensitive && !evidence.counts(now));
        if methods || acr || max_age {
            return Decision::Refuse(Reason::StepUp(Lacking { methods, acr, max_age, scope }));
        }
    }
    if scope {
        return Decision::Refuse(Reason::Scope);
    }
    if requirement.per_action && !evidence.confirmed {
        return Decision::Refuse(Reason::Confirmation);
    }
    Decision::Allow
}
