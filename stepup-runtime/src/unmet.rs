//! What a step-up asked for and what the token brought, in words: for the client that has tried
//! already (`Step-Up-Attempt`), and for the log.

use crate::token::Verified;
use http::HeaderMap;
use std::fmt::Write;
use stepup_contract::{Challenge, Lacking};

/// The header by which a client says that this is its first, second, … try after a step-up. It never
/// influences the decision.
const ATTEMPT: &str = "step-up-attempt";

/// Whether the client says that it has tried already.
pub(crate) fn is_another_attempt(headers: &HeaderMap) -> bool {
    let attempt = headers.get(ATTEMPT).and_then(|value| value.to_str().ok());
    attempt.and_then(|attempt| attempt.parse::<u32>().ok()).is_some_and(|attempt| attempt > 0)
}

/// What was asked, and what was received instead.
pub(crate) fn described(challenge: &Challenge, verified: &Verified, now: u64) -> String {
    let mut text = String::from("the new token does not satisfy either; asked were");
    let mut separator = " ";
    let mut say = |name: &str, value: String| {
        let _ = write!(text, "{separator}{name} {value}");
        separator = ", ";
    };
    let Challenge { acr_values, max_age, scope } = challenge;
    if !acr_values.is_empty() {
        say("acr_values", format!("{:?}", acr_values.join(" ")));
    }
    if let Some(max_age) = max_age {
        say("max_age", max_age.to_string());
    }
    if !scope.is_empty() {
        say("scope", format!("{:?}", scope.join(" ")));
    }
    text.push_str("; received were");
    let received = &verified.authentication;
    let [amr_claim, acr_claim, time_claim] = verified.issuer.profile.claim_paths();
    let list = |values: &[String]| {
        if values.is_empty() { "none".to_owned() } else { format!("{:?}", values.join(" ")) }
    };
    let time = match received.auth_time {
        None => "none".to_owned(),
        Some(time) if time <= now => format!("{time}, {} seconds ago", now - time),
        Some(time) => format!("{time}, {} seconds ahead", time - now),
    };
    let _ = write!(
        text,
        " {acr_claim} {}, {amr_claim} {}, {time_claim} {time}",
        list(&received.acr),
        list(&verified.amr)
    );
    if !scope.is_empty() {
        let _ = write!(text, ", scope {}", list(&received.scopes));
    }
    text
}

/// Tells the log which evidence was lacking and where it was looked for.
pub(crate) fn log(route: &str, lacking: Lacking, verified: &Verified, again: bool) {
    let [amr_claim, acr_claim, time_claim] = verified.issuer.profile.claim_paths();
    let claims = verified.claims.as_object();
    let mut looked = Vec::new();
    for (lacks, path) in [
        (lacking.methods, amr_claim),
        (lacking.methods || lacking.acr, acr_claim),
        (lacking.max_age, time_claim),
    ] {
        if lacks {
            let there = claims.is_some_and(|claims| path.get(claims).is_some());
            looked.push(format!("{path}: {}", if there { "not enough" } else { "missing" }));
        }
    }
    let (issuer, looked) = (&verified.issuer.name, looked.join("; "));
    if again {
        tracing::warn!(
            endpoint = route,
            issuer,
            looked,
            "a step-up was done and is not enough; if a claim is missing, the issuer does not put it \
             into its access tokens, or its profile looks in the wrong place"
        );
    } else {
        tracing::debug!(endpoint = route, issuer, looked, "a step-up is asked for");
    }
}
