//! What an issuer's answer to an introspection says: as JSON (RFC 7662 §2.2) or as a signed JWT
//! (RFC 9701 §5).

use crate::http_client::FetchError;
use crate::issuer::Trusted;
use crate::jws::Jws;
use crate::refusal::Cause;
use crate::times::Times;
use crate::token::{Source, Verified, is_declared_bound, kinds, names};
use serde_json::{Map, Value};
use std::sync::Arc;
use stepup_contract::{ClaimPath, numeric_date, parse_strict};
use thiserror::Error;
use tokio::time::Instant;

/// The media type of a signed answer.
pub(crate) const JWT_RESPONSE: &str = "application/token-introspection+jwt";

pub(crate) const INACTIVE: Cause = Cause::InvalidToken("the token is not active");

const NO_ACCESS_TOKEN: Cause = Cause::InvalidToken("the token is not an access token");

/// What was said of an active access token.
#[derive(Debug)]
pub(crate) struct Said {
    claims: Map<String, Value>,
    until: Instant,
}

/// Why there is nothing that could be relied on.
#[derive(Debug, Error)]
pub(crate) enum NoAnswer {
    #[error("its discovery document names no introspection_endpoint; say .endpoint(…)")]
    NoEndpoint,
    #[error("the client assertion could not be signed")]
    NotSigned,
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("the answer {0}")]
    Odd(&'static str),
    #[error(
        "the issuer has answered {0}, and not said whether the token is active; if it does for every \
         token, look at this API's client id and secret"
    )]
    NotTaken(u16),
    #[error("the issuer refuses this API as its client: {0}")]
    Client(String),
    /// There is an answer: the token is not to be accepted.
    #[error("the token is refused")]
    Refused(Cause),
}

impl NoAnswer {
    /// Whether this says that the endpoint is out of order. What a token can cause does not, since a client chooses the
    /// token: it could keep all others from being asked about. That an answer about one that was `active` before is odd
    /// is the endpoint's fault.
    pub(crate) fn is_the_endpoints(&self, active: bool) -> bool {
        match self {
            Self::NotTaken(_) | Self::Client(_) | Self::Refused(_) => false,
            // Of the server as a whole, or of what stands in front of it (RFC 9110 §15.6.3 to §15.6.5, RFC 6585 §4).
            Self::Fetch(FetchError::Status { status: 429 | 502..=504, .. }) => true,
            Self::Fetch(FetchError::Status { .. } | FetchError::TooLong(_)) | Self::Odd(_) => {
                active
            }
            Self::Fetch(_) | Self::NoEndpoint | Self::NotSigned => true,
        }
    }
}

/// What a status of 400 means.
pub(crate) fn fault(body: &[u8]) -> NoAnswer {
    let error = parse_strict(body).ok();
    let error = error.as_ref().and_then(|body| body.get("error")?.as_str());
    match error {
        Some(ours @ ("invalid_client" | "unauthorized_client" | "unsupported_token_type")) => {
            NoAnswer::Client(ours.to_owned())
        }
        _ => NoAnswer::Refused(INACTIVE),
    }
}

/// The claims in a signed answer to this client.
pub(crate) async fn signed(
    issuer: &Trusted,
    client_id: &str,
    body: &[u8],
    now: u64,
) -> Result<Map<String, Value>, NoAnswer> {
    let text = std::str::from_utf8(body).map_err(|_| NoAnswer::Odd("is no JWT"))?;
    let mut jws = Jws::read(text.trim()).map_err(|_| NoAnswer::Odd("is no JWT"))?;
    if jws.typ.as_deref() != Some("token-introspection+jwt") {
        return Err(NoAnswer::Odd("is a JWT of another type"));
    }
    issuer.keys.verify(&jws).await.map_err(|why| match why {
        Cause::Unavailable { .. } => NoAnswer::Odd("is signed with a key that cannot be had"),
        _ => NoAnswer::Odd("is not signed by the issuer"),
    })?;
    let for_us = match jws.claims.get("aud") {
        Some(Value::Array(list)) => list.iter().any(|one| one == client_id),
        Some(one) => one == client_id,
        None => false,
    };
    if jws.claims.get("iss").and_then(Value::as_str) != Some(&issuer.name) || !for_us {
        return Err(NoAnswer::Odd("names another issuer or another audience"));
    }
    let skew = u64::from(issuer.profile.skew());
    let issued = jws.claims.get("iat").and_then(numeric_date);
    if !issued.is_some_and(|issued| {
        issued <= now.saturating_add(skew) && now.saturating_sub(issued) <= 60 + skew
    }) {
        return Err(NoAnswer::Odd("was not signed just now"));
    }
    match jws.claims.remove("token_introspection") {
        Some(Value::Object(claims)) => Ok(claims),
        _ => Err(NoAnswer::Odd("holds no `token_introspection`")),
    }
}

impl Said {
    /// Reads an answer that is good until then.
    pub(crate) fn new(
        issuer: &Trusted,
        mut claims: Map<String, Value>,
        until: Instant,
    ) -> Result<Self, Cause> {
        if claims.remove("active") != Some(Value::Bool(true)) {
            return Err(INACTIVE);
        }
        if claims.get("iss").is_some_and(|named| named != issuer.name.as_str()) {
            return Err(Cause::InvalidToken("the token is of another issuer"));
        }
        let said = Self { claims, until };
        // Issuers answer for refresh tokens and ID tokens as well.
        if said.kinds().contains(&Some(false)) { Err(NO_ACCESS_TOKEN) } else { Ok(said) }
    }

    /// What the claims that name the token's kind say: whether it is an access token.
    fn kinds(&self) -> [Option<bool>; 3] {
        let token_type = self.claims.get("token_type").map(|kind| {
            let kind = kind.as_str().unwrap_or_default();
            kind.eq_ignore_ascii_case("bearer") || kind.eq_ignore_ascii_case("dpop")
        });
        let [typ, token_use] = kinds(&self.claims);
        [token_type, typ, token_use]
    }

    /// An opaque token is what is said of it. Where no audience is said, it must be said that it is an
    /// access token.
    pub(crate) fn verified(&self, issuer: &Arc<Trusted>) -> Result<Verified, Cause> {
        let marked = self.kinds().contains(&Some(true));
        if !marked && !self.claims.contains_key(&issuer.audience_claim) {
            return Err(NO_ACCESS_TOKEN);
        }
        let source = Source { key: None, said_until: Some(self.until) };
        Verified::new(issuer, self.claims.clone(), source)
    }

    /// A JWT is what it says itself, once it is verified. What is said of its user, its key, its scopes
    /// and its login must not differ: less may be left of them than the token says. It must be said to be for us, where
    /// that is said, and both say when it may be used.
    pub(crate) fn confirms(&self, mut verified: Verified) -> Result<Verified, Cause> {
        let evidence = verified.issuer.profile.claim_paths();
        let same = |path: &ClaimPath| {
            let itself = verified.claims.as_object().and_then(|claims| path.get(claims));
            path.get(&self.claims).is_none_or(|said| itself == Some(said))
        };
        let mut same_by_name = ["sub", "cnf", "scope", "scp"].into_iter().map(ClaimPath::from);
        if !(same_by_name.all(|path| same(&path)) && evidence.into_iter().all(same)) {
            return Err(Cause::InvalidToken("the token's issuer says otherwise of it"));
        }
        if verified.bound_to.is_none() && is_declared_bound(&self.claims) {
            return Err(Cause::InvalidToken("the token's issuer says that it is bound to a key"));
        }
        let issuer = &verified.issuer;
        if names(self.claims.get(&issuer.audience_claim), &issuer.audiences) == Some(false) {
            return Err(Cause::InvalidToken(
                "the token's issuer says that it is for another audience",
            ));
        }
        verified.times = verified.times.and(Times::of(&self.claims, false)?);
        verified.source.said_until = Some(self.until);
        Ok(verified)
    }
}
