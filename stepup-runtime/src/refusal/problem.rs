//! The problem body of a refusal (RFC 9457).

use super::{Cause, Refusal, space_separated};

impl Refusal {
    /// The last part of the problem's type, as in `insufficient-scope`: one of a dozen fixed words.
    pub fn kind(&self) -> &'static str {
        self.kind_and_title().0
    }

    fn kind_and_title(&self) -> (&'static str, &'static str) {
        match &self.cause {
            Cause::CredentialRequired => ("credential-required", "Access token required"),
            Cause::InvalidRequest(_) | Cause::AmbiguousPath(_) => {
                ("invalid-request", "Invalid request")
            }
            Cause::InvalidToken(_) => ("invalid-token", "Invalid access token"),
            Cause::InvalidProof(_) => ("invalid-dpop-proof", "Invalid DPoP proof"),
            Cause::UseDpopNonce(_) => ("use-dpop-nonce", "DPoP nonce required"),
            Cause::StepUp(..) | Cause::InsufficientScope(_) if self.step_up_report.is_some() => {
                ("step-up-unmet", "Step-up authentication was not enough")
            }
            Cause::StepUp(..) => {
                ("insufficient-user-authentication", "Step-up authentication required")
            }
            Cause::InsufficientScope(_) => ("insufficient-scope", "Insufficient scope"),
            Cause::Denied(_) => ("denied", "Denied"),
            Cause::Locked { .. } => ("locked", "Locked for a while"),
            Cause::Unlisted => ("unlisted", "No such endpoint"),
            Cause::Unavailable { .. } => ("unavailable", "Temporarily unavailable"),
            Cause::Misconfigured(_) => ("misconfigured", "Service misconfigured"),
        }
    }

    /// The problem body (RFC 9457) as JSON text. Once the token is valid, the body contains everything that the
    /// challenge contains, because a browser behind CORS may not see the header.
    pub fn problem(&self) -> String {
        let (kind, title) = self.kind_and_title();
        let challenge = self.cause.challenge();
        let entra = self.claims_challenge.as_ref();
        let problem = Problem {
            kind: format!("urn:stepup:problem:{kind}"),
            title,
            status: self.status().as_u16(),
            detail: self.step_up_report.as_deref().unwrap_or(self.cause.detail()),
            error: self.error_code(),
            acr_values: challenge.and_then(|challenge| space_separated(&challenge.acr_values)),
            max_age: challenge.and_then(|challenge| challenge.max_age),
            scope: challenge.and_then(|challenge| space_separated(&challenge.scope)),
            claims: entra.map(|entra| entra.claims.as_str()),
            authorization_uri: entra.map(|entra| entra.authorization_uri.as_str()),
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
