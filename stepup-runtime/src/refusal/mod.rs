//! Refusals: why a request is refused, the challenge (`WWW-Authenticate`), the problem body and the whole HTTP
//! response.
//!
//! Not here: the decision itself, and any HTTP framework. Uses `jose`.

mod cause;
mod challenge;
mod problem;
mod reason;
mod response;
mod scheme;

pub use cause::Cause;
pub use reason::{Denial, InvalidRequest, Misconfiguration, ProofError, TokenError};
pub(crate) use scheme::{AcceptedSchemes, Scheme};

use crate::refusal::challenge::ClaimsChallenge;
use http::{HeaderValue, StatusCode};
use std::sync::Arc;
use stepup_contract::{Challenge, Lacking, Profile, Reason, Requirement};

/// A refused request. As an axum response it is complete: status, challenge and problem body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    cause: Cause,
    resource_metadata: Option<Arc<str>>,
    /// The schemes in which the caller may present its token: one challenge for each.
    schemes: AcceptedSchemes,
    /// The challenge in Entra's dialect, for a client that understands it.
    claims_challenge: Option<Box<ClaimsChallenge>>,
    /// What was requested and what was received, for a client that has already stepped up.
    step_up_report: Option<Box<str>>,
    /// The origin of the web page that may read the response.
    allowed_origin: Option<Box<HeaderValue>>,
}

impl From<Cause> for Refusal {
    fn from(cause: Cause) -> Self {
        Self {
            cause,
            resource_metadata: None,
            schemes: Scheme::Bearer.into(),
            claims_challenge: None,
            step_up_report: None,
            allowed_origin: None,
        }
    }
}

impl Refusal {
    /// The refusal for a decision's reason, with the challenge for this issuer. `understands_claims` is whether the
    /// client understands Entra's claims challenges.
    pub(crate) fn decided(
        reason: Reason,
        requirement: &Requirement,
        profile: &Profile,
        understands_claims: bool,
        reauthenticate_after: Option<u64>,
        now: u64,
    ) -> Self {
        let mut challenge = Challenge::for_reason(reason, requirement, profile).unwrap_or_default();
        if matches!(reason, Reason::StepUp(_)) {
            challenge = challenge.reauthenticating_after(reauthenticate_after, now);
        }
        let claims_challenge = understands_claims
            .then(|| ClaimsChallenge::new(profile, &challenge).map(Box::new))
            .flatten();
        let cause = match reason {
            Reason::StepUp(lacking) => Cause::StepUp(challenge, lacking),
            Reason::Confirmation => Cause::StepUp(challenge, Lacking::default()),
            Reason::Scope => Cause::InsufficientScope(challenge),
            Reason::NotBound => Cause::InvalidToken(TokenError::NotBound),
            Reason::IssuerBarred => Cause::Denied(Denial::IssuerBarred),
            Reason::Risk => Cause::Denied(Denial::Risk),
            _ => Cause::Denied(Denial::Other),
        };
        Self { claims_challenge, ..Self::from(cause) }
    }

    /// Sets the schemes in which the caller may present its token.
    pub(crate) fn in_schemes(mut self, schemes: impl Into<AcceptedSchemes>) -> Self {
        self.schemes = schemes.into();
        self
    }

    /// Adds what was requested and what was received, for a client that has already stepped up.
    pub(crate) fn with_step_up_report(mut self, report: impl FnOnce(&Challenge) -> String) -> Self {
        if let Some(challenge) = self.cause.challenge() {
            self.step_up_report = Some(report(challenge).into());
        }
        self
    }

    /// Sets the address of the protected resource's metadata (RFC 9728 §5.1).
    pub(crate) fn with_resource_metadata(mut self, url: Option<Arc<str>>) -> Self {
        self.resource_metadata = url;
        self
    }

    /// Lets a page of this origin read the response.
    pub(crate) fn with_allowed_origin(self, allowed_origin: Option<HeaderValue>) -> Self {
        Self { allowed_origin: allowed_origin.map(Box::new), ..self }
    }

    /// Why the request is refused.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.cause.status()
    }

    /// Seconds until a new attempt makes sense, for `Retry-After`.
    pub fn retry_after(&self) -> Option<u32> {
        match self.cause {
            Cause::Unavailable { retry_after } | Cause::Locked { retry_after } => Some(retry_after),
            _ => None,
        }
    }

    /// The nonce that the next proof must contain, for `DPoP-Nonce`.
    pub fn dpop_nonce(&self) -> Option<&str> {
        match &self.cause {
            Cause::UseDpopNonce(nonce) => Some(nonce),
            _ => None,
        }
    }

    /// The error code, in Entra's dialect where that applies.
    fn error_code(&self) -> Option<&'static str> {
        match self.cause {
            Cause::StepUp(..) if self.claims_challenge.is_some() => Some("insufficient_claims"),
            _ => self.cause.error_code(),
        }
    }
}

/// A list as one space-separated parameter, unless it is empty.
fn space_separated(list: &[String]) -> Option<String> {
    (!list.is_empty()).then(|| list.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step_up(lacking: Lacking) -> Refusal {
        let list = |values: [&str; 2]| values.map(str::to_owned).to_vec();
        let challenge = Challenge::new(list(["a", "b"]), Some(300), list(["x", "y"]));
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
    fn the_body_contains_what_the_challenge_contains() {
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
    fn a_refusal_without_a_way_to_recover_has_no_challenge() {
        for cause in [
            Cause::Denied(Denial::Risk),
            Cause::Unavailable { retry_after: 1 },
            Cause::Misconfigured(Misconfiguration::NotGuarded),
        ] {
            assert_eq!(Refusal::from(cause).www_authenticate(), None);
        }
    }
}
