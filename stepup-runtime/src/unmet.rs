//! What a step-up asked for and what the token brought, in words: for the client that has tried
//! already (`Step-Up-Attempt`), and for the log.

use crate::token::Verified;
use http::HeaderMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// How many seconds lie between two warnings about one issuer.
const BETWEEN: u64 = 10;

/// The warnings about one issuer. Whoever has a token of its can bring them about, as often as he likes.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    /// When the next one may come, in Unix seconds.
    next: AtomicU64,
    untold: AtomicU64,
}

impl Warnings {
    /// Whether one may come now, and how many have not since the last.
    fn next(&self, now: u64) -> Option<u64> {
        let next = self.next.load(Ordering::Relaxed);
        let later = now.saturating_add(BETWEEN);
        // A clock that was set back does not keep them away for long.
        let due = now >= next || next > later;
        let set = |next: &AtomicU64, old| {
            next.compare_exchange(old, later, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        if due && set(&self.next, next) {
            return Some(self.untold.swap(0, Ordering::Relaxed));
        }
        self.untold.fetch_add(1, Ordering::Relaxed);
        None
    }
}

/// Tells the log which evidence was lacking and where it was looked for.
pub(crate) fn log(route: &str, lacking: Lacking, verified: &Verified, again: bool, now: u64) {
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
    if again && let Some(untold) = verified.issuer.unmet.next(now) {
        tracing::warn!(
            endpoint = route,
            issuer,
            looked,
            untold,
            "a step-up was done and is not enough; if a claim is missing, the issuer does not put it \
             into its access tokens, or its profile looks in the wrong place"
        );
    } else {
        tracing::debug!(endpoint = route, issuer, looked, "a step-up is asked for");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_come_now_and_then_and_say_how_many_did_not() {
        let warnings = Warnings::default();
        assert_eq!(warnings.next(100), Some(0));
        for second in [100, 100, 109] {
            assert_eq!(warnings.next(second), None);
        }
        assert_eq!(warnings.next(110), Some(3));
        assert_eq!(warnings.next(111), None);
        assert_eq!(warnings.next(50), Some(1), "the clock was set back");
    }
}
