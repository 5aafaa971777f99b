//! The response to an introspection request: JSON (RFC 7662 §2.2) or a signed JWT (RFC 9701 §5).

use crate::issuer::trusted::TrustedIssuer;
use crate::jose::jws::Jws;
use crate::refusal::{Cause, TokenError};
use crate::support::http_client::FetchError;
use crate::token::claims::{is_declared_bound, names_audience, token_kinds};
use crate::token::times::TokenTimes;
use crate::token::verified::{ClaimsSource, VerifiedToken};
use serde_json::{Map, Value};
use std::sync::Arc;
use stepup_contract::{ClaimPath, numeric_date, parse_strict};
use thiserror::Error;
use tokio::time::Instant;

/// The media type of a signed response.
pub(crate) const JWT_RESPONSE: &str = "application/token-introspection+jwt";

/// The response for an active access token.
#[derive(Debug)]
pub(crate) struct IntrospectionResponse {
    claims: Map<String, Value>,
    /// Until when the response may be used.
    until: Instant,
}

/// Why an introspection request gave no usable response.
#[derive(Debug, Error)]
pub(crate) enum IntrospectionError {
    #[error("the issuer's discovery document has no introspection_endpoint; call .endpoint(…)")]
    NoEndpoint,
    #[error("the client assertion could not be signed")]
    NotSigned,
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Response(#[from] InvalidResponse),
    #[error(
        "the issuer answered {0} without saying whether the token is active; if this happens for every token, check \
         this API's client id and secret"
    )]
    Rejected(u16),
    #[error("the issuer refuses this API as its client: {0}")]
    Client(String),
    /// The response is usable: the token is refused.
    #[error("the token is refused")]
    Refused(TokenError),
}

/// What is wrong with an introspection response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum InvalidResponse {
    #[error("the response is not a JSON object")]
    NotAnObject,
    #[error("the response is not signed, and .signed_responses() requires a signature")]
    Unsigned,
    #[error("the response is not a JWT")]
    NotAJwt,
    #[error("the response is a JWT of another type")]
    OtherType,
    #[error("the response is signed with a key that is not available")]
    KeyUnavailable,
    #[error("the response is not signed by the issuer")]
    NotSignedByIssuer,
    #[error("the response names another issuer or another audience")]
    OtherParty,
    #[error("the response was not signed recently")]
    NotRecent,
    #[error("the response has no `token_introspection`")]
    NoContent,
}

impl IntrospectionError {
    /// Whether the error shows that the endpoint is not working. An error that a token can cause does not, because
    /// clients choose tokens and could block introspection for all others. If the token was active before, an invalid
    /// response is the endpoint's fault.
    pub(crate) fn is_endpoint_failure(&self, was_active: bool) -> bool {
        match self {
            Self::Rejected(_) | Self::Client(_) | Self::Refused(_) => false,
            // Statuses of the server as a whole, or of a proxy (RFC 9110 §15.6.3 to §15.6.5, RFC 6585 §4).
            Self::Fetch(FetchError::Status { status: 429 | 502..=504, .. }) => true,
            Self::Fetch(FetchError::Status { .. } | FetchError::TooLong(_)) | Self::Response(_) => {
                was_active
            }
            Self::Fetch(_) | Self::NoEndpoint | Self::NotSigned => true,
        }
    }
}

/// The meaning of a response with status 400 (RFC 6749 §5.2).
pub(crate) fn error_response(body: &[u8]) -> IntrospectionError {
    let error = parse_strict(body).ok();
    let error = error.as_ref().and_then(|body| body.get("error")?.as_str());
    match error {
        Some(client @ ("invalid_client" | "unauthorized_client" | "unsupported_token_type")) => {
            IntrospectionError::Client(client.to_owned())
        }
        _ => IntrospectionError::Refused(TokenError::Inactive),
    }
}

/// The claims in a signed response to this client.
pub(crate) async fn verify_signed(
    issuer: &TrustedIssuer,
    client_id: &str,
    body: &[u8],
    now: u64,
) -> Result<Map<String, Value>, IntrospectionError> {
    let text = std::str::from_utf8(body).map_err(|_| InvalidResponse::NotAJwt)?;
    let mut jws = Jws::parse(text.trim()).map_err(|_| InvalidResponse::NotAJwt)?;
    if jws.typ.as_deref() != Some("token-introspection+jwt") {
        return Err(InvalidResponse::OtherType.into());
    }
    issuer.keys.verify(&jws).await.map_err(|cause| match cause {
        Cause::Unavailable { .. } => InvalidResponse::KeyUnavailable,
        _ => InvalidResponse::NotSignedByIssuer,
    })?;
    let names_client = match jws.claims.get("aud") {
        Some(Value::Array(list)) => list.iter().any(|one| one == client_id),
        Some(one) => one == client_id,
        None => false,
    };
    if jws.claims.get("iss").and_then(Value::as_str) != Some(&issuer.name) || !names_client {
        return Err(InvalidResponse::OtherParty.into());
    }
    let skew = u64::from(issuer.profile.skew());
    let issued = jws.claims.get("iat").and_then(numeric_date);
    if !issued.is_some_and(|issued| {
        issued <= now.saturating_add(skew) && now.saturating_sub(issued) <= 60 + skew
    }) {
        return Err(InvalidResponse::NotRecent.into());
    }
    match jws.claims.remove("token_introspection") {
        Some(Value::Object(claims)) => Ok(claims),
        _ => Err(InvalidResponse::NoContent.into()),
    }
}

impl IntrospectionResponse {
    /// Reads a response that may be used until then.
    pub(crate) fn new(
        issuer: &TrustedIssuer,
        mut claims: Map<String, Value>,
        until: Instant,
    ) -> Result<Self, TokenError> {
        // Some issuers write absent members as null.
        claims.retain(|_, value| !value.is_null());
        if claims.remove("active") != Some(Value::Bool(true)) {
            return Err(TokenError::Inactive);
        }
        if claims.get("iss").is_some_and(|named| named != issuer.name.as_str()) {
            return Err(TokenError::IntrospectionIssuer);
        }
        let response = Self { claims, until };
        // Issuers also return responses for refresh tokens and ID tokens.
        if response.kinds().contains(&Some(false)) {
            return Err(TokenError::NotAnAccessToken);
        }
        Ok(response)
    }

    /// Whether the claims that name the token's kind say that it is an access token.
    fn kinds(&self) -> [Option<bool>; 3] {
        let token_type = self.claims.get("token_type").map(|kind| {
            let kind = kind.as_str().unwrap_or_default();
            kind.eq_ignore_ascii_case("bearer") || kind.eq_ignore_ascii_case("dpop")
        });
        let [typ, token_use] = token_kinds(&self.claims);
        [token_type, typ, token_use]
    }

    /// The claims of an opaque token are those of the response. Without an audience, the response must say that the
    /// token is an access token.
    pub(crate) fn to_verified(
        &self,
        issuer: &Arc<TrustedIssuer>,
        audience_optional: bool,
    ) -> Result<VerifiedToken, TokenError> {
        let marked = self.kinds().contains(&Some(true));
        if !marked && !self.claims.contains_key(&issuer.audience_claim) {
            return Err(TokenError::NotAnAccessToken);
        }
        if !self.claims.contains_key("sub") {
            tracing::debug!(
                issuer = issuer.name,
                "an introspection response has no `sub`, which RFC 7662 makes optional; configure the issuer to return \
                 it, because a token without a subject is refused"
            );
            return Err(TokenError::IntrospectionSubject);
        }
        let source = ClaimsSource { key: None, introspected_until: Some(self.until) };
        let json = serde_json::to_vec(&self.claims).unwrap_or_default();
        VerifiedToken::new(issuer, &self.claims, json, source, audience_optional)
    }

    /// The claims of a JWT are its own. The response must not differ in subject, key, scopes or authentication; if it
    /// names an audience, the audience must be this API; and the validity periods of both apply.
    pub(crate) fn confirm(
        &self,
        claims: &Map<String, Value>,
        mut verified: VerifiedToken,
    ) -> Result<VerifiedToken, TokenError> {
        let issuer = &verified.issuer;
        let same = |path: &ClaimPath| {
            path.get(&self.claims).is_none_or(|stated| path.get(claims) == Some(stated))
        };
        let mut names = ["sub", "cnf", "scope", "scp"].into_iter().map(ClaimPath::from);
        let configured =
            issuer.profile.claim_paths().into_iter().chain(issuer.profile.scopes_path());
        if !(names.all(|path| same(&path)) && configured.into_iter().all(same)) {
            return Err(TokenError::IntrospectionMismatch);
        }
        if verified.bound_to.is_none() && is_declared_bound(&self.claims) {
            return Err(TokenError::IntrospectionBinding);
        }
        let audience = self.claims.get(&issuer.audience_claim);
        if names_audience(audience, &issuer.audiences) == Some(false) {
            return Err(TokenError::IntrospectionAudience);
        }
        verified.times = verified.times.and(TokenTimes::of(&self.claims, false)?);
        verified.source.introspected_until = Some(self.until);
        Ok(verified)
    }
}
