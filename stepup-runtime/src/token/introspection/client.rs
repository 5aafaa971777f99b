//! The introspection client (RFC 7662 §2). Requests for the same token share one introspection, the number of
//! concurrent introspections is limited, further ones wait for a limited time, and a circuit breaker protects the issuer.
//! A failure never allows a token.

use crate::issuer::trusted::TrustedIssuer;
use crate::jose::signing_key::SigningKeyError;
use crate::refusal::{Cause, TokenError};
use crate::support::circuit_breaker::CircuitBreaker;
use crate::support::digest::{Digest, sha256};
use crate::support::error_chain::ErrorChain;
use crate::support::expiring_set::ExpiringSet;
use crate::support::http_client::{FetchError, checked_url, client, read, send};
use crate::support::single_flight::SingleFlight;
use crate::token::introspection::admission::{Admission, AdmissionPermit};
use crate::token::introspection::options::Introspection;
use crate::token::introspection::response::{
    IntrospectionError, IntrospectionResponse, InvalidResponse, JWT_RESPONSE, error_response,
    verify_signed,
};
use crate::token::verified::VerifiedToken;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::Client;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stepup_contract::parse_strict;
use thiserror::Error;
use tokio::time::Instant;

/// The most tokens that are remembered as inactive, and as active.
const MAX_REMEMBERED: usize = 10_000;

/// How long a token is remembered as active once. This does not make it active now.
const REMEMBER_ACTIVE: Duration = Duration::from_secs(3600);

/// The shared result of an introspection.
type Outcome = Result<Arc<IntrospectionResponse>, Cause>;

/// A running introspection, and when it started.
#[derive(Debug)]
struct Running {
    started: Instant,
    flight: SingleFlight<Outcome>,
}

impl Running {
    /// Whether the response can still be used.
    fn can_be_joined(&self, shared: &Shared) -> bool {
        self.flight.is_running() && self.started.elapsed() < shared.options.cache
    }
}

/// Why introspection cannot be set up.
#[derive(Debug, Error)]
pub(crate) enum IntrospectionSetupError {
    #[error("the introspection client's key cannot be used")]
    Key(#[from] SigningKeyError),
    #[error("the introspection endpoint cannot be used")]
    Endpoint(#[from] FetchError),
    #[error("the HTTP client could not be created")]
    Client(#[from] reqwest::Error),
    #[error(
        "its discovery document has no introspection_endpoint; pass the URL to Introspection::endpoint"
    )]
    NoEndpoint,
}

/// Introspects the tokens of one issuer. Clones share their state.
#[derive(Debug, Clone)]
pub(crate) struct Introspector(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    issuer: Arc<TrustedIssuer>,
    options: Introspection,
    client: Client,
    breaker: CircuitBreaker,
    admission: Admission,
    running: Mutex<HashMap<Digest, Running>>,
    inactive: ExpiringSet,
    /// Tokens that were active recently, whether or not their response is still kept.
    active: ExpiringSet,
}

impl Introspector {
    pub(crate) fn new(
        issuer: Arc<TrustedIssuer>,
        mut options: Introspection,
        authorities: &[u8],
    ) -> Result<Self, IntrospectionSetupError> {
        options.auth.parse_key()?;
        if let Some(url) = &options.endpoint {
            checked_url(url)?;
        }
        let shared = Shared {
            client: client(options.endpoint.as_deref().unwrap_or(&issuer.name), authorities)?,
            breaker: CircuitBreaker::default(),
            admission: Admission::default(),
            running: Mutex::default(),
            inactive: ExpiringSet::new(MAX_REMEMBERED, options.cache),
            active: ExpiringSet::new(MAX_REMEMBERED, REMEMBER_ACTIVE),
            issuer,
            options,
        };
        Ok(Self(Arc::new(shared)))
    }

    /// Checks that the address of the endpoint is known.
    pub(crate) fn check_endpoint(&self) -> Result<(), IntrospectionSetupError> {
        self.0.endpoint().map(drop).ok_or(IntrospectionSetupError::NoEndpoint)
    }

    /// Whether the JWTs of this issuer are introspected too.
    pub(crate) fn checks_jwts_of(&self, issuer: &Arc<TrustedIssuer>) -> bool {
        self.0.options.jwts && Arc::ptr_eq(&self.0.issuer, issuer)
    }

    /// Verifies an opaque token. The client, whose address may be known, may have made up the token.
    pub(crate) async fn verify_opaque(
        &self,
        token: &str,
        client: Option<IpAddr>,
        now: u64,
    ) -> Result<VerifiedToken, Cause> {
        let digest = sha256(token.as_bytes());
        let was_active = self.0.active.contains(&digest);
        let token = PresentedToken { text: token, digest, was_active, client };
        let optional = self.0.options.audience_optional;
        self.introspect(token, now, |response| response.to_verified(&self.0.issuer, optional)).await
    }

    /// Checks a JWT that the issuer's keys have verified.
    pub(crate) async fn confirm_jwt(
        &self,
        token: &str,
        claims: &Map<String, Value>,
        verified: VerifiedToken,
        now: u64,
    ) -> Result<VerifiedToken, Cause> {
        let digest = sha256(token.as_bytes());
        let token = PresentedToken { text: token, digest, was_active: true, client: None };
        self.introspect(token, now, |response| response.confirm(claims, verified)).await
    }

    /// Introspects a token and reads the response. Any refusal is remembered, so that a refused token does not cause
    /// further introspections.
    async fn introspect(
        &self,
        token: PresentedToken<'_>,
        now: u64,
        read: impl FnOnce(&IntrospectionResponse) -> Result<VerifiedToken, TokenError>,
    ) -> Result<VerifiedToken, Cause> {
        let shared = &self.0;
        let digest = token.digest;
        if shared.inactive.contains(&digest) {
            return Err(TokenError::Inactive.into());
        }
        let response = self.response(token, now).await?;
        let verified = read(&response);
        match &verified {
            Ok(_) => shared.active.insert(digest),
            Err(_) => shared.inactive.insert(digest),
        }
        Ok(verified?)
    }

    async fn response(&self, token: PresentedToken<'_>, now: u64) -> Outcome {
        let shared = &self.0;
        let flight = match shared.joined(&token.digest) {
            Some(flight) => flight,
            None => {
                shared.breaker.check_later().map_err(unavailable)?;
                let permit = shared.admission.permit(token.was_active, token.client).await;
                let permit = permit.ok_or(unavailable(Duration::ZERO))?;
                shared.start(token, now, permit)?
            }
        };
        flight.wait().await.unwrap_or(Err(unavailable(Duration::ZERO)))
    }
}

/// A token that is introspected.
#[derive(Clone, Copy)]
struct PresentedToken<'t> {
    text: &'t str,
    digest: Digest,
    /// Whether its issuer has issued it, as far as known: it was active recently, or the issuer's key has signed it.
    was_active: bool,
    /// The address of the client that presents it, if known.
    client: Option<IpAddr>,
}

impl Shared {
    fn endpoint(&self) -> Option<String> {
        let metadata = || self.issuer.keys.metadata()?.introspection_endpoint.clone();
        self.options.endpoint.clone().or_else(metadata)
    }

    /// The running introspection of this token, if its response can still be used.
    fn joined(&self, digest: &Digest) -> Option<SingleFlight<Outcome>> {
        let all = self.running();
        let running = all.get(digest).filter(|running| running.can_be_joined(self));
        running.map(|running| running.flight.clone())
    }

    /// Starts an introspection, unless another request has started one for the same token.
    fn start(
        self: &Arc<Self>,
        token: PresentedToken<'_>,
        now: u64,
        permit: AdmissionPermit,
    ) -> Result<SingleFlight<Outcome>, Cause> {
        let mut all = self.running();
        let digest = token.digest;
        if let Some(running) = all.get(&digest).filter(|running| running.can_be_joined(self)) {
            return Ok(running.flight.clone());
        }
        self.breaker.check().map_err(unavailable)?;
        let (text, was_active) = (token.text.to_owned(), token.was_active);
        let work = Arc::clone(self).introspect_once(text, digest, was_active, now, permit);
        let flight = SingleFlight::start(work);
        all.insert(digest, Running { started: Instant::now(), flight: flight.clone() });
        Ok(flight)
    }

    /// A poisoned lock is usable: the state is plain data and always consistent.
    fn running(&self) -> MutexGuard<'_, HashMap<Digest, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One introspection, for all waiting requests.
    async fn introspect_once(
        self: Arc<Self>,
        token: String,
        digest: Digest,
        was_active: bool,
        now: u64,
        permit: AdmissionPermit,
    ) -> Outcome {
        let outcome = match self.send(&token, now).await {
            Ok(response) => {
                self.breaker.succeeded();
                Ok(Arc::new(response))
            }
            Err(IntrospectionError::Refused(reason)) => {
                self.breaker.succeeded();
                self.inactive.insert(digest);
                Err(reason.into())
            }
            Err(error) => {
                if error.is_endpoint_failure(was_active) {
                    self.breaker.failed();
                } else {
                    self.breaker.inconclusive();
                }
                let error = ErrorChain(&error);
                tracing::error!(issuer = self.issuer.name, %error, "a token could not be introspected");
                Err(unavailable(Duration::ZERO))
            }
        };
        self.running().remove(&digest);
        drop(permit);
        outcome
    }

    async fn send(
        &self,
        token: &str,
        now: u64,
    ) -> Result<IntrospectionResponse, IntrospectionError> {
        let Self { issuer, options, .. } = self;
        let started = Instant::now();
        let until = started + options.cache;
        let url = self.endpoint().ok_or(IntrospectionError::NoEndpoint)?;
        let url = checked_url(&url)?;
        let credentials = options.auth.credentials(&issuer.name, now);
        let credentials = credentials.ok_or(IntrospectionError::NotSigned)?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("token", token)
            .append_pair("token_type_hint", "access_token")
            .extend_pairs(credentials.fields)
            .finish();
        let accept = if options.signed { JWT_RESPONSE } else { "application/json" };
        let mut request = self.client.post(url.clone()).header(ACCEPT, accept);
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(authorization) = credentials.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let response = send(request.body(form), &url).await?;
        let media_type = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let media_type = media_type.unwrap_or_default().split(';').next().unwrap_or_default();
        let is_jwt = media_type.trim().eq_ignore_ascii_case(JWT_RESPONSE);
        match response.status().as_u16() {
            200 => {}
            400 => return Err(error_response(&read(response, url).await?)),
            status @ (401..=428 | 430..=499) => return Err(IntrospectionError::Rejected(status)),
            status => return Err(FetchError::Status { url, status }.into()),
        }
        let body = read(response, url).await?;
        let claims = if is_jwt {
            // The response was signed after `now`.
            let now = now.saturating_add(started.elapsed().as_secs() + 1);
            verify_signed(issuer, &options.auth.client_id, &body, now).await?
        } else {
            match parse_strict(&body) {
                // A response that only refuses the token needs no signature.
                Ok(Value::Object(claims)) if claims.get("active") == Some(&Value::Bool(false)) => {
                    claims
                }
                _ if options.signed => return Err(InvalidResponse::Unsigned.into()),
                Ok(Value::Object(claims)) => claims,
                _ => return Err(InvalidResponse::NotAnObject.into()),
            }
        };
        IntrospectionResponse::new(issuer, claims, until).map_err(IntrospectionError::Refused)
    }
}

fn unavailable(pause: Duration) -> Cause {
    let seconds = u32::try_from(pause.as_secs()).unwrap_or(u32::MAX);
    Cause::Unavailable { retry_after: seconds.saturating_add(1) }
}
