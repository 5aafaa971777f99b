//! The problem body of a refusal (RFC 9457).

use super::{Refusal, words};
use crate::refusal::Cause;

impl Refusal {
    /// The last part of the problem's type, as in `insufficient-scope`: one of a dozen fixed words.
    pub fn kind(&self) -> &'static str {
        self.kind_and_title().0
    }

    fn kind_and_title(&self) -> (&'static str, &'static str) {
        match &self.cause {
            Cause::CredentialRequired => ("credential-required", "Access token required"),
            Cause::InvalidRequest(_) => ("invalid-request", "Invalid request"),
            Cause::InvalidToken(_) => ("invalid-token", "Invalid access token"),
            Cause::InvalidProof(_) => ("invalid-dpop-proof", "Invalid DPoP proof"),
            Cause::UseDpopNonce(_) => ("use-dpop-nonce", "DPoP nonce required"),
            Cause::StepUp(..) | Cause::InsufficientScope(_) if self.unmet.is_some() => {
                ("step-up-unmet", "Step-up authentication was not enough")
            }
            Cause::StepUp(..) => {
                ("insufficient-user-authentication", "Step-up authentication required")
            }
            Cause::InsufficientScope(_) => ("insufficient-scope", "Insufficient scope"),
            Cause::Denied(_) => ("denied", "Denied"),
            Cause::Unlisted => ("unlisted", "No such endpoint"),
            Cause::Unavailable { .. } => ("unavailable", "Temporarily unavailable"),
            Cause::Misconfigured(_) => ("misconfigured", "Service misconfigured"),
        }
    }

    /// The problem body (RFC 9457) as JSON text. Once the token is valid it holds what the challenge
    /// holds, since a browser behind a CORS layer may not see the header.
    pub fn problem(&self) -> String {
        let (kind, title) = self.kind_and_title();
        let challenge = self.challenge();
        let problem = Problem {
            kind: format!("urn:stepup:problem:{kind}"),
            title,
            status: self.status().as_u16(),
            detail: self.unmet.as_deref().unwrap_or(self.detail()),
            error: self.error(),
            acr_values: challenge.and_then(|challenge| words(&challenge.acr_values)),
            max_age: challenge.and_then(|challenge| challenge.max_age),
            scope: challenge.and_then(|challenge| words(&challenge.scope)),
            claims: self.claims_challenge.as_ref().map(|entra| entra.claims.as_str()),
            authorization_uri: self
                .claims_challenge
                .as_ref()
                .map(|entra| entra.authorization_uri.as_str()),
            resource_metadata: challenge.and(self.resource_metadata.as_deref()),
        };
        serde_json::to_string(&problem).unwrap_or_default()
    }
}

/// The members of a problem body; those from `error` on are the challenge's parameters.
#[derive(serde::Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr_values: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_age: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_metadata: Option<&'a str>,
}
