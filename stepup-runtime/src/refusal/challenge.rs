//! The challenge of a refusal: the value of `WWW-Authenticate` (RFC 6750 §3, RFC 9470 §3), in Entra's dialect where
//! the client understands it.

use super::{Cause, Refusal, Scheme, space_separated};
use crate::jose::algorithm::accepted_names;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::fmt::Write;
use stepup_contract::{Challenge, Dialect, Profile};

/// Microsoft Entra's claims challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClaimsChallenge {
    pub(super) authorization_uri: String,
    /// The claims request as JSON.
    pub(super) claims: String,
}

impl ClaimsChallenge {
    /// The same challenge in Entra's dialect, if this issuer uses that dialect.
    pub(super) fn new(profile: &Profile, challenge: &Challenge) -> Option<Self> {
        let Dialect::EntraClaims { authorization_uri } = profile.challenge_dialect() else {
            return None;
        };
        let name = profile.claim_paths()[1].first();
        let acr = challenge.acr_values.first()?;
        let claims = json!({"access_token": {name: {"essential": true, "value": acr}}}).to_string();
        Some(Self { authorization_uri: authorization_uri.clone(), claims })
    }
}

impl Refusal {
    /// The value of `WWW-Authenticate`, if the response has one.
    pub fn www_authenticate(&self) -> Option<String> {
        let bare = matches!(self.cause, Cause::CredentialRequired);
        if !bare && self.error_code().is_none() {
            return None;
        }
        let mut parameters: Vec<(&str, String)> = Vec::new();
        if let Some(entra) = &self.claims_challenge {
            parameters.push(("realm", String::new()));
            parameters.push(("authorization_uri", entra.authorization_uri.clone()));
        }
        if let Some(error) = self.error_code() {
            parameters.push(("error", error.to_owned()));
        }
        let challenge = self.cause.challenge();
        if let Some(entra) = &self.claims_challenge {
            parameters.push(("claims", STANDARD.encode(&entra.claims)));
        } else {
            if !bare {
                parameters.push(("error_description", self.cause.detail().to_owned()));
            }
            let acr_values = challenge.and_then(|challenge| space_separated(&challenge.acr_values));
            parameters.extend(acr_values.map(|values| ("acr_values", values)));
        }
        if let Some(Challenge { max_age, scope, .. }) = challenge {
            parameters.extend(max_age.map(|max_age| ("max_age", max_age.to_string())));
            parameters.extend(space_separated(scope).map(|scope| ("scope", scope)));
        }
        if let Some(url) = &self.resource_metadata {
            parameters.push(("resource_metadata", url.to_string()));
        }
        // One line for all schemes (RFC 9110 §11.6.1): some proxies keep only the first of several lines.
        let challenges = self.schemes.as_slice().iter().map(|scheme| {
            let algs = (*scheme == Scheme::Dpop).then(|| ("algs", accepted_names()));
            challenge_in(*scheme, parameters.iter().chain(&algs))
        });
        Some(challenges.collect::<Vec<_>>().join(", "))
    }
}

/// A scheme with its parameters (RFC 9110 §11.3).
fn challenge_in<'a>(
    scheme: Scheme,
    parameters: impl Iterator<Item = &'a (&'static str, String)>,
) -> String {
    let mut challenge = scheme.name().to_owned();
    for (index, (name, text)) in parameters.enumerate() {
        let separator = if index == 0 { " " } else { ", " };
        // Configured values are checked at start; a requirement built by hand is not.
        let text = text.replace(['"', '\\'], "");
        let _ = write!(challenge, "{separator}{name}=\"{text}\"");
    }
    challenge
}
