//! The challenges that an issuer's clients receive: what each endpoint's step-up requests from the identity provider.

use crate::report::display::visible;
use serde_json::{Value, json};
use std::fmt::Write;
use stepup_contract::{Challenge, Contract, Profile, Reason, Trust};

/// What an endpoint's challenge requests from one issuer.
#[derive(Debug, Clone)]
pub(crate) struct IssuerChallenge {
    issuer: String,
    route: String,
    challenge: Challenge,
}

impl IssuerChallenge {
    /// The challenges of all endpoints that require step-up. Empty if the issuer's users may not step up.
    pub(crate) fn all(contract: &Contract, issuer: &str, profile: &Profile) -> Vec<Self> {
        let endpoints = contract.endpoints().iter().filter(|endpoint| {
            profile.steps_up() && endpoint.requirement.trust() == Trust::Sensitive
        });
        let challenges = endpoints.filter_map(|endpoint| {
            let challenge =
                Challenge::for_reason(Reason::Confirmation, &endpoint.requirement, profile)?;
            Some(Self { issuer: issuer.to_owned(), route: contract.route(endpoint), challenge })
        });
        challenges.collect()
    }

    /// The challenge as a JSON object.
    pub(crate) fn to_json(&self) -> Value {
        let Challenge { acr_values, max_age, scope, .. } = &self.challenge;
        json!({
            "issuer": self.issuer,
            "route": self.route,
            "acr_values": acr_values,
            "max_age": max_age,
            "scope": scope,
        })
    }
}

/// A heading for each issuer, and below it a line for each endpoint.
pub(crate) fn to_text(challenges: &[IssuerChallenge]) -> String {
    let mut text = String::new();
    for of_one_issuer in challenges.chunk_by(|one, next| one.issuer == next.issuer) {
        if let Some(first) = of_one_issuer.first() {
            let _ = writeln!(text, "challenges for users of {}:", visible(&first.issuer));
        }
        for IssuerChallenge { route, challenge, .. } in of_one_issuer {
            let _ = writeln!(text, "  {}: {}", visible(route), visible(&parameters(challenge)));
        }
    }
    text
}

/// What the client requests, as in `acr_values="gold" max_age=300 scope="pay"`.
pub(crate) fn parameters(challenge: &Challenge) -> String {
    let Challenge { acr_values, max_age, scope, .. } = challenge;
    let list = |name: &str, values: &[String]| {
        (!values.is_empty()).then(|| format!("{name}={:?}", values.join(" ")))
    };
    let max_age = max_age.map(|max_age| match max_age {
        0 => "max_age=0 (which has passed before the client returns from the login)".to_owned(),
        _ => format!("max_age={max_age}"),
    });
    let parameters = [list("acr_values", acr_values), max_age, list("scope", scope)];
    parameters.into_iter().flatten().collect::<Vec<_>>().join(" ")
}
