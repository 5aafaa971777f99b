//! What a step-up requested and what the new token has instead: for a client that has already stepped up
//! (`Step-Up-Attempt`), and for the log.

use crate::token::verified::VerifiedToken;
use http::HeaderMap;
use std::fmt::Write;
use stepup_contract::{Challenge, Lacking};

/// The header in which a client counts its attempts after a challenge. It never influences the decision.
const ATTEMPT: &str = "step-up-attempt";

/// Whether the client says that it has already stepped up.
pub(crate) fn is_repeated_attempt(headers: &HeaderMap) -> bool {
    let attempt = headers.get(ATTEMPT).and_then(|value| value.to_str().ok());
    attempt.and_then(|attempt| attempt.parse::<u32>().ok()).is_some_and(|attempt| attempt > 0)
}

/// What was requested and what was received, for the client.
pub(crate) fn for_client(challenge: &Challenge, token: &VerifiedToken, now: u64) -> String {
    let mut text = String::from("the new token is not sufficient either; requested:");
    let mut separator = " ";
    let mut add = |name: &str, value: String| {
        let _ = write!(text, "{separator}{name} {value}");
        separator = ", ";
    };
    let Challenge { acr_values, max_age, scope, .. } = challenge;
    if !acr_values.is_empty() {
        add("acr_values", format!("{:?}", acr_values.join(" ")));
    }
    if let Some(max_age) = max_age {
        add("max_age", max_age.to_string());
    }
    if !scope.is_empty() {
        add("scope", format!("{:?}", scope.join(" ")));
    }
    let received = &token.authentication;
    let [amr_claim, acr_claim, time_claim] = token.issuer.profile.claim_paths();
    let list = |values: &[String]| {
        if values.is_empty() { "none".to_owned() } else { format!("{:?}", values.join(" ")) }
    };
    let time = match received.auth_time {
        None => "none".to_owned(),
        Some(time) if time <= now => format!("{time} ({} seconds ago)", now - time),
        Some(time) => format!("{time} ({} seconds in the future)", time - now),
    };
    let (acr, amr) = (list(&received.acr), list(&token.amr));
    let _ = write!(text, "; received: {acr_claim} {acr}, {amr_claim} {amr}, {time_claim} {time}");
    if !scope.is_empty() {
        let _ = write!(text, ", scope {}", list(&received.scopes));
    }
    text
}

/// Which evidence was insufficient, and in which claim it was expected, for the log.
pub(crate) fn for_log(lacking: Lacking, token: &VerifiedToken) -> String {
    let [amr_claim, acr_claim, time_claim] = token.issuer.profile.claim_paths();
    let [amr, acr, time] = token.evidence_present;
    let mut evidence = Vec::new();
    for (lacks, path, present) in [
        (lacking.methods, amr_claim, amr),
        (lacking.methods || lacking.acr, acr_claim, acr),
        (lacking.max_age, time_claim, time),
    ] {
        if lacks {
            let state = if present { "insufficient" } else { "missing" };
            evidence.push(format!("{path}: {state}"));
        }
    }
    evidence.join("; ")
}
