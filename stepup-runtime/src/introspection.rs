//! Opaque tokens: their issuer is asked what they say (RFC 7662), and may answer with a signed JWT
//! (RFC 9701). Once for all who wait for the same token, with an upper limit on what is asked at the
//! same time, and behind a circuit breaker. What cannot be learned is never an allow.

use crate::breaker::Breaker;
use crate::client_auth::ClientAuth;
use crate::flight::Flight;
use crate::http_client::{FetchError, checked_url, client, read, send};
use crate::issuer::Trusted;
use crate::jws::Jws;
use crate::refusal::Cause;
use crate::token::{Source, Verified, kinds};
use crate::tokens::{TokenDigest, digest_of};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use moka::sync::Cache;
use reqwest::Client;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stepup_contract::{numeric_date, parse_strict};
use tokio::time::Instant;

/// How an issuer is asked about tokens that are not JWTs.
///
/// ```
/// use std::time::Duration;
/// use stepup_runtime::{Introspection, Issuer};
///
/// let issuer = Issuer::new("https://login.bank.example", "https://api.bank.example")
///     .introspect(Introspection::basic("api", "its secret").cache(Duration::from_secs(30)));
/// ```
#[derive(Debug, Clone)]
#[must_use = "give it to Issuer::introspect"]
pub struct Introspection {
    auth: ClientAuth,
    endpoint: Option<String>,
    cache: Duration,
    signed: bool,
    jwts: bool,
    audience_optional: bool,
}

impl Introspection {
    /// With the client's id and secret in an Authorization header (`client_secret_basic`).
    pub fn basic(client_id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self::with(ClientAuth::basic(client_id.into(), secret.into()))
    }

    /// With the client's id and secret in the form (`client_secret_post`).
    pub fn post(client_id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self::with(ClientAuth::post(client_id.into(), secret.into()))
    }

    /// With an assertion that this private key signs (`private_key_jwt`, RFC 7523): PKCS #8 PEM of a
    /// P-256, Ed25519 or RSA key, and the `kid` under which the issuer knows it.
    pub fn private_key_jwt(
        client_id: impl Into<String>,
        kid: Option<&str>,
        pem: impl Into<String>,
    ) -> Self {
        Self::with(ClientAuth::private_key(client_id.into(), kid.map(str::to_owned), pem.into()))
    }

    fn with(auth: ClientAuth) -> Self {
        Self {
            auth,
            endpoint: None,
            cache: Duration::from_secs(30),
            signed: false,
            jwts: false,
            audience_optional: false,
        }
    }

    /// Where to ask; the issuer's discovery document says so unless this does.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// How long an answer is kept, and so how late a revocation may be noticed: 30 seconds unless
    /// given, never longer than the token's `exp`. Zero asks on every request.
    pub fn cache(mut self, time: Duration) -> Self {
        self.cache = time;
        self
    }

    /// Accepts signed answers only (RFC 9701).
    pub fn signed_responses(mut self) -> Self {
        self.signed = true;
        self
    }

    /// Asks about this issuer's JWTs too, so that a revocation counts for them as well.
    pub fn jwts_too(mut self) -> Self {
        self.jwts = true;
        self
    }

    /// Accepts answers that name no `aud`, for issuers that never do. Then any active access token of
    /// this issuer is accepted, for whichever API it was made.
    pub fn audience_optional(mut self) -> Self {
        self.audience_optional = true;
        self
    }
}

/// Most tokens that are asked about at the same time.
const MAX_FLIGHTS: usize = 256;

/// Most tokens that are remembered as not active.
const MAX_INACTIVE: u64 = 10_000;

const JWT_RESPONSE: &str = "application/token-introspection+jwt";

/// What an introspection came to.
type Answer = Result<Arc<Verified>, Cause>;

/// An issuer's introspection endpoint.
#[derive(Debug)]
pub(crate) struct Introspector {
    how: Introspection,
    client: Client,
    breaker: Breaker,
    flights: Mutex<HashMap<TokenDigest, Flight<Answer>>>,
    inactive: Cache<TokenDigest, ()>,
}

const INACTIVE: Cause = Cause::InvalidToken("the token is not active");

impl Introspector {
    pub(crate) fn new(issuer: &str, mut how: Introspection) -> Result<Self, String> {
        how.auth.prepare().map_err(|why| format!("the introspection client's key {why}"))?;
        if let Some(url) = &how.endpoint {
            checked_url(url).map_err(|why| why.to_string())?;
        }
        let address = how.endpoint.as_deref().unwrap_or(issuer);
        let client = client(address).map_err(|why| why.to_string())?;
        Ok(Self {
            client,
            breaker: Breaker::default(),
            flights: Mutex::default(),
            inactive: Cache::builder().max_capacity(MAX_INACTIVE).time_to_live(how.cache).build(),
            how,
        })
    }

    /// Whether JWTs are asked about as well.
    pub(crate) fn takes_jwts(&self) -> bool {
        self.how.jwts
    }

    pub(crate) fn audience_optional(&self) -> bool {
        self.how.audience_optional
    }

    /// Whether it is known where to ask.
    pub(crate) fn has_endpoint(&self, issuer: &Trusted) -> bool {
        self.endpoint(issuer).is_some()
    }

    fn endpoint(&self, issuer: &Trusted) -> Option<String> {
        let metadata = || issuer.keys.metadata()?.introspection_endpoint.clone();
        self.how.endpoint.clone().or_else(metadata)
    }

    /// What the issuer says of this token.
    pub(crate) async fn introspect(issuer: &Arc<Trusted>, token: &str, now: u64) -> Answer {
        let digest = digest_of(token.as_bytes());
        let Some(this) = &issuer.introspector else {
            return Err(Cause::InvalidToken("the token is not a signed JWT"));
        };
        if this.inactive.contains_key(&digest) {
            return Err(INACTIVE);
        }
        let flight = {
            let mut flights = this.flights();
            match flights.get(&digest).filter(|flight| flight.is_under_way()) {
                Some(flight) => flight.clone(),
                None => {
                    if flights.len() >= MAX_FLIGHTS {
                        flights.retain(|_, flight| flight.is_under_way());
                    }
                    if flights.len() >= MAX_FLIGHTS {
                        return Err(Cause::Unavailable { retry_after: 1 });
                    }
                    this.breaker.check().map_err(unavailable)?;
                    let work = introspection(Arc::clone(issuer), token.to_owned(), digest, now);
                    let flight = Flight::start(work);
                    flights.insert(digest, flight.clone());
                    flight
                }
            }
        };
        flight.landed().await.unwrap_or(Err(Cause::Unavailable { retry_after: 1 }))
    }

    async fn ask(&self, issuer: &Arc<Trusted>, token: &str, now: u64) -> Result<Verified, Failure> {
        let asked = Instant::now();
        let url = self.endpoint(issuer).ok_or(Failure::NoEndpoint)?;
        let url = checked_url(&url)?;
        let shown = self.how.auth.show(&issuer.name, now).ok_or(Failure::NotSigned)?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("token", token)
            .append_pair("token_type_hint", "access_token")
            .extend_pairs(shown.fields)
            .finish();
        let accept = if self.how.signed { JWT_RESPONSE } else { "application/json" };
        let mut request = self.client.post(url.clone()).header(ACCEPT, accept);
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(authorization) = shown.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let response = send(request.body(form), &url).await?;
        match response.status().as_u16() {
            200 => {}
            // The issuer finds fault with the token, and with nothing else that we send.
            400 => return Err(Failure::Refused(INACTIVE)),
            status => return Err(FetchError::Status { url, status }.into()),
        }
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let is_jwt = kind.eq_ignore_ascii_case(JWT_RESPONSE);
        let body = read(response, url).await?;
        let claims = if is_jwt {
            self.signed(issuer, &body, now).await?
        } else if self.how.signed {
            return Err(Failure::Answer("is not signed, which .signed_responses() asks"));
        } else {
            match parse_strict(&body) {
                Ok(Value::Object(claims)) => claims,
                _ => return Err(Failure::Answer("is no JSON object")),
            }
        };
        let until = asked + self.how.cache;
        accepted(issuer, claims, until).map_err(Failure::Refused)
    }

    /// The claims in a signed answer (RFC 9701 §5).
    async fn signed(
        &self,
        issuer: &Arc<Trusted>,
        body: &[u8],
        now: u64,
    ) -> Result<Map<String, Value>, Failure> {
        let text = std::str::from_utf8(body).map_err(|_| Failure::Answer("is no JWT"))?;
        let mut jws = Jws::read(text.trim()).map_err(|_| Failure::Answer("is no JWT"))?;
        if jws.typ.as_deref() != Some("token-introspection+jwt") {
            return Err(Failure::Answer("is a JWT of another type"));
        }
        issuer.keys.verify(&jws).await.map_err(|_| Failure::Answer("is not signed by it"))?;
        let is_us = |value: &Value| value == self.how.auth.client_id.as_str();
        let for_us = match jws.claims.get("aud") {
            Some(Value::Array(list)) => list.iter().any(is_us),
            Some(one) => is_us(one),
            None => false,
        };
        if jws.claims.get("iss").and_then(Value::as_str) != Some(&issuer.name) || !for_us {
            return Err(Failure::Answer("names another issuer or another audience"));
        }
        let skew = u64::from(issuer.profile.skew());
        let issued = jws.claims.get("iat").and_then(numeric_date);
        if !issued.is_some_and(|issued| {
            issued <= now.saturating_add(skew) && now.saturating_sub(issued) <= 60 + skew
        }) {
            return Err(Failure::Answer("was not signed just now"));
        }
        match jws.claims.remove("token_introspection") {
            Some(Value::Object(claims)) => Ok(claims),
            _ => Err(Failure::Answer("holds no `token_introspection`")),
        }
    }

    /// A poisoned lock holds plain data that is right at any time.
    fn flights(&self) -> MutexGuard<'_, HashMap<TokenDigest, Flight<Answer>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why the issuer's answer is of no use.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("its discovery document names no introspection_endpoint; say .endpoint(…)")]
    NoEndpoint,
    #[error("the client assertion could not be signed")]
    NotSigned,
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("the answer {0}")]
    Answer(&'static str),
    /// It is of use: it says that the token is not to be accepted.
    #[error("the token is refused")]
    Refused(Cause),
}

/// One introspection, for all who wait.
async fn introspection(
    issuer: Arc<Trusted>,
    token: String,
    digest: TokenDigest,
    now: u64,
) -> Answer {
    let Some(this) = &issuer.introspector else { return Err(INACTIVE) };
    let answer = match this.ask(&issuer, &token, now).await {
        Ok(verified) => {
            this.breaker.succeeded();
            Ok(Arc::new(verified))
        }
        Err(Failure::Refused(cause)) => {
            this.breaker.succeeded();
            this.inactive.insert(digest, ());
            Err(cause)
        }
        Err(error) => {
            tracing::error!(issuer = issuer.name, %error, "a token could not be introspected");
            this.breaker.failed();
            Err(unavailable(this.breaker.check().err().unwrap_or_default()))
        }
    };
    this.flights().remove(&digest);
    answer
}

/// The claims of an answer, if they are an active access token's.
fn accepted(
    issuer: &Arc<Trusted>,
    mut claims: Map<String, Value>,
    until: Instant,
) -> Result<Verified, Cause> {
    if claims.remove("active") != Some(Value::Bool(true)) {
        return Err(INACTIVE);
    }
    if claims.get("iss").is_some_and(|named| named != issuer.name.as_str()) {
        return Err(Cause::InvalidToken("the token is of another issuer"));
    }
    // Issuers answer for refresh tokens and ID tokens as well.
    let is_access = |kind: &Value| {
        let kind = kind.as_str().unwrap_or_default();
        kind.eq_ignore_ascii_case("bearer") || kind.eq_ignore_ascii_case("dpop")
    };
    let odd = claims.get("token_type").is_some_and(|kind| !is_access(kind));
    if odd || kinds(&claims).contains(&Some(false)) {
        return Err(Cause::InvalidToken("the token is not an access token"));
    }
    Verified::new(issuer, claims, Source::Introspected(until))
}

fn unavailable(pause: Duration) -> Cause {
    let seconds = u32::try_from(pause.as_secs()).unwrap_or(u32::MAX);
    Cause::Unavailable { retry_after: seconds.saturating_add(1) }
}
