//! The decision in one line, and how a client can recover from a refusal.

use crate::report::challenges::parameters;
use stepup_contract::{
    Challenge, Contract, Decision, Endpoint, Finding, Profile, Reason, Severity, findings,
};

/// The reason, if no login at an issuer with this profile can satisfy the endpoint.
fn unsatisfiable(endpoint: &Endpoint, profile: &Profile) -> Option<Finding> {
    let alone = Contract::new("explained", "0", [endpoint.clone()]).ok()?;
    let mut found = findings(&alone, profile, None, &[]).into_iter();
    found.find(|finding| finding.severity == Severity::Error)
}

/// The decision in one line.
pub(super) fn verdict(decision: Decision, endpoint: &Endpoint, profile: &Profile) -> String {
    let Decision::Refuse(reason) = decision else { return "allowed".into() };
    if let (Reason::StepUp(_), Some(finding)) = (reason, unsatisfiable(endpoint, profile)) {
        return format!(
            "refused, and no login at this issuer helps: {}; {}",
            finding.problem, finding.fix
        );
    }
    if reason == Reason::NotBound {
        return "refused; to recover, request a token that is bound to a key, and send it with a proof (DPoP, RFC 9449)"
            .into();
    }
    let Some(challenge) = Challenge::for_reason(reason, &endpoint.requirement, profile) else {
        let reason = match reason {
            Reason::IssuerBarred => "users of this issuer may not step up",
            _ => "the session's risk",
        };
        return format!("refused: {reason}; no login helps");
    };
    format!("refused; to recover, request a token with {}", parameters(&challenge))
}
