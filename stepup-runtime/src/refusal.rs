//! Why a request is refused, and what the client is told: status, `WWW-Authenticate` (RFC 6750 §3,
//! RFC 9470 §3) and problem body (RFC 9457). No HTTP framework here; `response` makes the answer.

use http::StatusCode;
use std::fmt::Write;
use std::sync::Arc;
use stepup_contract::{Challenge, Lacking, Profile, Reason, Requirement};

/// Why a request is refused. The texts are fixed, keep to the character set of RFC 6750 §3, and
/// name no requirement before the token is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The request carries no credential that is understood here.
    CredentialRequired,
    /// The request carries two credentials, or one that cannot be read.
    InvalidRequest(&'static str),
    /// The token is not accepted.
    InvalidToken(&'static str),
    /// A stronger or fresher authentication is needed; the challenge says which.
    StepUp(Challenge, Lacking),
    /// Only scopes are lacking; the challenge names them.
    InsufficientScope(Challenge),
    /// The session's risk refuses the call, or its issuer's users may not call sensitive endpoints.
    Denied(&'static str),
    /// The issuer cannot be heard, and nothing that is known may be used.
    Unavailable {
        /// Seconds after which a new attempt makes sense.
        retry_after: u32,
    },
    /// The service itself is wired wrongly; its log says how to mend it.
    Misconfigured(&'static str),
}

/// A refused request. As an axum response it is complete: status, challenge and problem body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    cause: Cause,
    resource_metadata: Option<Arc<str>>,
}

impl From<Cause> for Refusal {
    fn from(cause: Cause) -> Self {
        Self { cause, resource_metadata: None }
    }
}

impl Refusal {
    /// The refusal for a decision's reason, at an issuer of this profile.
    pub(crate) fn decided(reason: Reason, requirement: &Requirement, profile: &Profile) -> Self {
        let challenge = Challenge::for_reason(reason, requirement, profile).unwrap_or_default();
        match reason {
            Reason::StepUp(lacking) => Cause::StepUp(challenge, lacking),
            Reason::Confirmation => Cause::StepUp(challenge, Lacking::default()),
            Reason::Scope => Cause::InsufficientScope(challenge),
            Reason::NotBound => Cause::InvalidToken("the token is not bound to a key"),
            Reason::IssuerBarred => {
                Cause::Denied("users of this issuer may not call this endpoint")
            }
            Reason::Risk => Cause::Denied("the session is at risk"),
            _ => Cause::Denied("the call is not allowed"),
        }
        .into()
    }

    /// Where the client finds the protected resource's metadata (RFC 9728 §5.1).
    pub(crate) fn with_resource_metadata(mut self, url: Option<Arc<str>>) -> Self {
        self.resource_metadata = url;
        self
    }

    /// Why the request is refused.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self.cause {
            Cause::CredentialRequired | Cause::InvalidToken(_) | Cause::StepUp(..) => {
                StatusCode::UNAUTHORIZED
            }
            Cause::InvalidRequest(_) => StatusCode::BAD_REQUEST,
            Cause::InsufficientScope(_) | Cause::Denied(_) => StatusCode::FORBIDDEN,
            Cause::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Cause::Misconfigured(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Seconds after which a new attempt makes sense, for `Retry-After`.
    pub fn retry_after(&self) -> Option<u32> {
        match self.cause {
            Cause::Unavailable { retry_after } => Some(retry_after),
            _ => None,
        }
    }

    /// The error code of RFC 6750 §3.1 and RFC 9470 §3.
    fn error(&self) -> Option<&'static str> {
        match self.cause {
            Cause::InvalidRequest(_) => Some("invalid_request"),
            Cause::InvalidToken(_) => Some("invalid_token"),
            Cause::StepUp(..) => Some("insufficient_user_authentication"),
            Cause::InsufficientScope(_) => Some("insufficient_scope"),
            _ => None,
        }
    }

    fn challenge(&self) -> Option<&Challenge> {
        match &self.cause {
            Cause::StepUp(challenge, _) | Cause::InsufficientScope(challenge) => Some(challenge),
            _ => None,
        }
    }

    /// What is wrong, as one sentence.
    fn detail(&self) -> &'static str {
        match &self.cause {
            Cause::CredentialRequired => "send an access token in the Authorization header",
            Cause::InvalidRequest(why)
            | Cause::InvalidToken(why)
            | Cause::Denied(why)
            | Cause::Misconfigured(why) => why,
            Cause::StepUp(_, Lacking { methods, acr, max_age, .. }) => {
                match (*methods || *acr, *max_age) {
                    (true, true) => "a stronger and more recent authentication is required",
                    (false, true) => "a more recent authentication is required",
                    _ => "a stronger authentication is required",
                }
            }
            Cause::InsufficientScope(_) => "the token lacks a scope",
            Cause::Unavailable { .. } => "the token cannot be verified at the moment; try again later",
        }
    }

    /// The value of `WWW-Authenticate`, where the answer has one.
    pub fn www_authenticate(&self) -> Option<String> {
        let bare = matches!(self.cause, Cause::CredentialRequired);
        if !bare && self.error().is_none() {
            return None;
        }
        let mut parameters: Vec<(&str, String)> = Vec::new();
        if let Some(error) = self.error() {
            parameters.push(("error", error.to_owned()));
            parameters.push(("error_description", self.detail().to_owned()));
        }
        if let Some(Challenge { acr_values, max_age, scope }) = self.challenge() {
            if !acr_values.is_empty() {
                parameters.push(("acr_values", acr_values.join(" ")));
            }
            if let Some(max_age) = max_age {
                parameters.push(("max_age", max_age.to_string()));
            }
            if !scope.is_empty() {
                parameters.push(("scope", scope.join(" ")));
            }
        }
        if let Some(url) = &self.resource_metadata {
            parameters.push(("resource_metadata", url.to_string()));
        }
        let mut value = String::from("Bearer");
        for (index, (name, text)) in parameters.iter().enumerate() {
            let separator = if index == 0 { " " } else { ", " };
            let _ = write!(value, "{separator}{name}=\"{text}\"");
        }
        Some(value)
    }

    /// The problem body (RFC 9457) as JSON text. Once the token is valid it holds what the challenge
    /// holds, since a browser behind a CORS layer may not see the header.
    pub fn problem(&self) -> String {
        let (kind, title) = match &self.cause {
            Cause::CredentialRequired => ("credential-required", "Access token required"),
            Cause::InvalidRequest(_) => ("invalid-request", "Invalid request"),
            Cause::InvalidToken(_) => ("invalid-token", "Invalid access token"),
            Cause::StepUp(..) => {
                ("insufficient-user-authentication", "Step-up authentication required")
            }
            Cause::InsufficientScope(_) => ("insufficient-scope", "Insufficient scope"),
            Cause::Denied(_) => ("denied", "Denied"),
            Cause::Unavailable { .. } => ("unavailable", "Temporarily unavailable"),
            Cause::Misconfigured(_) => ("misconfigured", "Service misconfigured"),
        };
        let words = |list: &Vec<String>| (!list.is_empty()).then(|| list.join(" "));
        let challenge = self.challenge();
        let problem = Problem {
            kind: format!("urn:stepup:problem:{kind}"),
            title,
            status: self.status().as_u16(),
            detail: self.detail(),
            error: self.error(),
            acr_values: challenge.and_then(|challenge| words(&challenge.acr_values)),
            max_age: challenge.and_then(|challenge| challenge.max_age),
            scope: challenge.and_then(|challenge| words(&challenge.scope)),
        };
        serde_json::to_string(&problem).unwrap_or_default()
    }
}

/// The members of a problem body; those from `error` on are the challenge's parameters.
#[derive(serde::Serialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr_values: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_age: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step_up(lacking: Lacking) -> Refusal {
        let challenge = Challenge {
            acr_values: vec!["a".into(), "b".into()],
            max_age: Some(300),
            scope: vec!["x".into(), "y".into()],
        };
        Cause::StepUp(challenge, lacking).into()
    }

    #[test]
    fn a_challenge_joins_values_with_spaces_and_parameters_with_commas() {
        let refusal = step_up(Lacking { methods: true, ..Lacking::default() })
            .with_resource_metadata(Some(
                "https://api/.well-known/oauth-protected-resource".into(),
            ));
        assert_eq!(
            refusal.www_authenticate().unwrap(),
            "Bearer error=\"insufficient_user_authentication\", \
             error_description=\"a stronger authentication is required\", acr_values=\"a b\", \
             max_age=\"300\", scope=\"x y\", \
             resource_metadata=\"https://api/.well-known/oauth-protected-resource\""
        );
    }

    #[test]
    fn no_credential_is_challenged_without_an_error_code() {
        let refusal = Refusal::from(Cause::CredentialRequired);
        assert_eq!(refusal.www_authenticate().unwrap(), "Bearer");
        assert!(!refusal.problem().contains("error"));
    }

    #[test]
    fn the_body_holds_what_the_challenge_holds() {
        let body = step_up(Lacking { max_age: true, ..Lacking::default() }).problem();
        assert_eq!(
            body,
            "{\"type\":\"urn:stepup:problem:insufficient-user-authentication\",\
             \"title\":\"Step-up authentication required\",\"status\":401,\
             \"detail\":\"a more recent authentication is required\",\
             \"error\":\"insufficient_user_authentication\",\"acr_values\":\"a b\",\
             \"max_age\":300,\"scope\":\"x y\"}"
        );
    }

    #[test]
    fn a_refusal_without_a_cure_has_no_challenge() {
        for cause in [Cause::Denied("x"), Cause::Unavailable { retry_after: 1 }, Cause::Misconfigured("x")] {
            assert_eq!(Refusal::from(cause).www_authenticate(), None);
        }
    }
}
