//! Why a request is refused, and what the client is told: status and `WWW-Authenticate` (RFC 6750 §3,
//! RFC 9470 §3), and in `problem` the body (RFC 9457). No HTTP framework here; `response` makes the answer.

mod problem;

use crate::credential::Scheme;
use crate::dpop::algorithms;
use crate::token::Verified;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::Arc;
use stepup_contract::{Challenge, Dialect, Lacking, Reason, Requirement};

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
    /// The proof that the caller has the token's key is not accepted (RFC 9449 §7.1).
    InvalidProof(&'static str),
    /// The proof must hold this nonce (RFC 9449 §9).
    UseDpopNonce(String),
    /// A stronger or fresher authentication is needed; the challenge says which.
    StepUp(Challenge, Lacking),
    /// Only scopes are lacking; the challenge names them.
    InsufficientScope(Challenge),
    /// The session's risk refuses the call, or its issuer's users may not call sensitive endpoints.
    Denied(&'static str),
    /// No endpoint of the contract takes the request, and its `unlisted` says `deny`.
    Unlisted,
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
    scheme: Scheme,
    /// The same in the words of Entra, for a client that understands them.
    claims_challenge: Option<Box<ClaimsChallenge>>,
    /// What was asked and what was received, for a client that has tried already.
    unmet: Option<Box<str>>,
}

/// Microsoft Entra's claims challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ClaimsChallenge {
    authorization_uri: String,
    /// The claims request as JSON.
    claims: String,
}

impl From<Cause> for Refusal {
    fn from(cause: Cause) -> Self {
        Self {
            cause,
            resource_metadata: None,
            scheme: Scheme::Bearer,
            claims_challenge: None,
            unmet: None,
        }
    }
}

impl Refusal {
    /// The refusal for a decision's reason, at this token's issuer.
    pub(crate) fn decided(reason: Reason, requirement: &Requirement, verified: &Verified) -> Self {
        let profile = &verified.issuer.profile;
        let challenge = Challenge::for_reason(reason, requirement, profile).unwrap_or_default();
        let claims_challenge = match profile.challenge_dialect() {
            Dialect::EntraClaims { authorization_uri } if understands_claims(verified) => {
                let name = profile.claim_paths()[1].first();
                challenge.acr_values.first().map(|acr| {
                    let claims = json!({"access_token": {name: {"essential": true, "value": acr}}});
                    let authorization_uri = authorization_uri.clone();
                    Box::new(ClaimsChallenge { authorization_uri, claims: claims.to_string() })
                })
            }
            _ => None,
        };
        let cause = match reason {
            Reason::StepUp(lacking) => Cause::StepUp(challenge, lacking),
            Reason::Confirmation => Cause::StepUp(challenge, Lacking::default()),
            Reason::Scope => Cause::InsufficientScope(challenge),
            Reason::NotBound => Cause::InvalidToken("the token is not bound to a key"),
            Reason::IssuerBarred => {
                Cause::Denied("users of this issuer may not call this endpoint")
            }
            Reason::Risk => Cause::Denied("the session is at risk"),
            _ => Cause::Denied("the call is not allowed"),
        };
        Self { claims_challenge, ..Self::from(cause) }
    }

    /// In the scheme by which the caller should present its token.
    pub(crate) fn in_scheme(mut self, scheme: Scheme) -> Self {
        self.scheme = scheme;
        self
    }

    /// For a client that has tried already: what was asked and what was received.
    pub(crate) fn unmet(mut self, described: impl FnOnce(&Challenge) -> String) -> Self {
        if let Some(challenge) = self.challenge() {
            self.unmet = Some(described(challenge).into());
        }
        self
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
            Cause::CredentialRequired
            | Cause::InvalidToken(_)
            | Cause::InvalidProof(_)
            | Cause::UseDpopNonce(_)
            | Cause::StepUp(..) => StatusCode::UNAUTHORIZED,
            Cause::InvalidRequest(_) => StatusCode::BAD_REQUEST,
            Cause::InsufficientScope(_) | Cause::Denied(_) | Cause::Unlisted => {
                StatusCode::FORBIDDEN
            }
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

    /// The nonce that the next proof must hold, for `DPoP-Nonce`.
    pub fn dpop_nonce(&self) -> Option<&str> {
        match &self.cause {
            Cause::UseDpopNonce(nonce) => Some(nonce),
            _ => None,
        }
    }

    /// The error code of RFC 6750 §3.1, RFC 9449 §7.1 and RFC 9470 §3.
    fn error(&self) -> Option<&'static str> {
        match self.cause {
            Cause::InvalidRequest(_) => Some("invalid_request"),
            Cause::InvalidToken(_) => Some("invalid_token"),
            Cause::InvalidProof(_) => Some("invalid_dpop_proof"),
            Cause::UseDpopNonce(_) => Some("use_dpop_nonce"),
            Cause::StepUp(..) if self.claims_challenge.is_some() => Some("insufficient_claims"),
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
            | Cause::InvalidProof(why)
            | Cause::Denied(why)
            | Cause::Misconfigured(why) => why,
            Cause::UseDpopNonce(_) => "the DPoP proof must hold the nonce of this answer",
            Cause::StepUp(_, Lacking { methods, acr, max_age, .. }) => {
                match (*methods || *acr, *max_age) {
                    (true, true) => "a stronger and more recent authentication is required",
                    (false, true) => "a more recent authentication is required",
                    _ => "a stronger authentication is required",
                }
            }
            Cause::InsufficientScope(_) => "the token lacks a scope",
            Cause::Unlisted => "no endpoint of the contract takes this request",
            Cause::Unavailable { .. } => {
                "the token cannot be verified at the moment; try again later"
            }
        }
    }

    /// The value of `WWW-Authenticate`, where the answer has one.
    pub fn www_authenticate(&self) -> Option<String> {
        let bare = matches!(self.cause, Cause::CredentialRequired);
        if !bare && self.error().is_none() {
            return None;
        }
        let mut parameters: Vec<(&str, String)> = Vec::new();
        if let Some(entra) = &self.claims_challenge {
            parameters.push(("realm", String::new()));
            parameters.push(("authorization_uri", entra.authorization_uri.clone()));
        }
        if let Some(error) = self.error() {
            parameters.push(("error", error.to_owned()));
        }
        match (&self.claims_challenge, self.challenge()) {
            (Some(entra), _) => parameters.push(("claims", STANDARD.encode(&entra.claims))),
            (None, challenge) => {
                if !bare {
                    parameters.push(("error_description", self.detail().to_owned()));
                }
                if let Some(acr_values) =
                    challenge.and_then(|challenge| words(&challenge.acr_values))
                {
                    parameters.push(("acr_values", acr_values));
                }
            }
        }
        if let Some(Challenge { max_age, scope, .. }) = self.challenge() {
            if let Some(max_age) = max_age {
                parameters.push(("max_age", max_age.to_string()));
            }
            if let Some(scope) = words(scope) {
                parameters.push(("scope", scope));
            }
        }
        if let Some(url) = &self.resource_metadata {
            parameters.push(("resource_metadata", url.to_string()));
        }
        let mut value = String::from(match self.scheme {
            Scheme::Bearer => "Bearer",
            Scheme::Dpop => {
                parameters.push(("algs", algorithms()));
                "DPoP"
            }
        });
        for (index, (name, text)) in parameters.iter().enumerate() {
            let separator = if index == 0 { " " } else { ", " };
            // Configured values were checked for this; a requirement made by hand was not.
            let text = text.replace(['"', '\\'], "");
            let _ = write!(value, "{separator}{name}=\"{text}\"");
        }
        Some(value)
    }
}

/// A list as one parameter, if there is anything in it.
fn words(list: &[String]) -> Option<String> {
    (!list.is_empty()).then(|| list.join(" "))
}

/// Whether the client has said that it understands claims challenges: its token's optional claim
/// `xms_cc` holds `cp1`.
fn understands_claims(verified: &Verified) -> bool {
    match &verified.claims["xms_cc"] {
        Value::Array(list) => list.iter().any(|capability| capability == "cp1"),
        one => one == "cp1",
    }
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
        for cause in
            [Cause::Denied("x"), Cause::Unavailable { retry_after: 1 }, Cause::Misconfigured("x")]
        {
            assert_eq!(Refusal::from(cause).www_authenticate(), None);
        }
    }
}
