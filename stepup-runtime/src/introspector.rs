//! Asks an issuer about opaque tokens (RFC 7662). Once for all who wait for the same token, with an upper
//! limit on what is asked at the same time, and behind a circuit breaker. What cannot be learned is
//! never an allow.

use crate::breaker::Breaker;
use crate::flight::Flight;
use crate::http_client::{FetchError, checked_url, client, read, send};
use crate::introspection::Introspection;
use crate::issuer::Trusted;
use crate::refusal::Cause;
use crate::said::{INACTIVE, JWT_RESPONSE, NoAnswer, Said, fault, signed};
use crate::token::Verified;
use crate::tokens::{Digest, digest_of};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use moka::sync::Cache;
use reqwest::Client;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stepup_contract::parse_strict;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Most tokens that are asked about at the same time, and how many of these places are kept for tokens
/// that were active before, so that nobody with made-up ones can take all.
const PLACES: usize = 256;
const KEPT_PLACES: usize = 64;

/// Most tokens that are remembered as not active, and as active.
const MAX_KNOWN: u64 = 10_000;

/// How long it is remembered that a token was active. It says nothing of whether it is.
const ACTIVE: Duration = Duration::from_secs(3600);

/// What an introspection came to.
type Answer = Result<Arc<Said>, Cause>;

/// An introspection under way, and when it began.
#[derive(Debug)]
struct Asked {
    at: Instant,
    flight: Flight<Answer>,
}

/// An issuer's introspection endpoint.
#[derive(Debug)]
pub(crate) struct Introspector {
    how: Introspection,
    client: Client,
    breaker: Breaker,
    places: Arc<Semaphore>,
    flights: Mutex<HashMap<Digest, Asked>>,
    inactive: Cache<Digest, ()>,
    /// Those that were active not long ago, whether or not what was said of them is kept.
    active: Cache<Digest, ()>,
}

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
            places: Arc::new(Semaphore::new(PLACES)),
            flights: Mutex::default(),
            inactive: Cache::builder().max_capacity(MAX_KNOWN).time_to_live(how.cache).build(),
            active: Cache::builder().max_capacity(MAX_KNOWN).time_to_live(ACTIVE).build(),
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

    /// Asks the issuer about this token and reads what it says. `made_up` tells that a client may have made it up, since
    /// nobody has verified it. What is refused is remembered, whoever refuses it, so that nobody makes
    /// the issuer be asked again and again about a token that is of no use here.
    pub(crate) async fn introspect(
        issuer: &Arc<Trusted>,
        token: &str,
        made_up: bool,
        now: u64,
        read: impl FnOnce(&Said) -> Result<Verified, Cause>,
    ) -> Result<Verified, Cause> {
        let Some(this) = &issuer.introspector else { return Err(INACTIVE) };
        let digest = digest_of(token.as_bytes());
        if this.inactive.contains_key(&digest) {
            return Err(INACTIVE);
        }
        let seen_before = !made_up || this.active.contains_key(&digest);
        let said = this.ask(issuer, token, digest, seen_before, now).await?;
        let read = read(&said);
        match &read {
            Ok(_) => this.active.insert(digest, ()),
            Err(_) => this.inactive.insert(digest, ()),
        }
        read
    }

    async fn ask(
        &self,
        issuer: &Arc<Trusted>,
        token: &str,
        digest: Digest,
        seen_before: bool,
        now: u64,
    ) -> Answer {
        let flight = {
            let mut flights = self.flights();
            let under_way = flights
                .get(&digest)
                .filter(|asked| asked.flight.is_under_way() && asked.at.elapsed() < self.how.cache);
            if let Some(asked) = under_way {
                asked.flight.clone()
            } else {
                let place = self.place(seen_before).ok_or(Cause::Unavailable { retry_after: 1 })?;
                self.breaker.check().map_err(unavailable)?;
                let token = Token { text: token.to_owned(), digest, seen_before };
                let work = introspection(Arc::clone(issuer), token, now, place);
                let flight = Flight::start(work);
                flights.insert(digest, Asked { at: Instant::now(), flight: flight.clone() });
                flight
            }
        };
        flight.landed().await.unwrap_or(Err(Cause::Unavailable { retry_after: 1 }))
    }

    /// A place among those who ask.
    fn place(&self, seen_before: bool) -> Option<OwnedSemaphorePermit> {
        if !seen_before && self.places.available_permits() <= KEPT_PLACES {
            return None;
        }
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    async fn send(&self, issuer: &Arc<Trusted>, token: &str, now: u64) -> Result<Said, NoAnswer> {
        let asked = Instant::now();
        let until = asked + self.how.cache;
        let url = self.endpoint(issuer).ok_or(NoAnswer::NoEndpoint)?;
        let url = checked_url(&url)?;
        let shown = self.how.auth.show(&issuer.name, now).ok_or(NoAnswer::NotSigned)?;
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
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let is_jwt = kind.eq_ignore_ascii_case(JWT_RESPONSE);
        match response.status().as_u16() {
            200 => {}
            // The issuer finds fault with the token, or with us (RFC 6749 §5.2).
            400 => return Err(fault(&read(response, url).await?)),
            status @ (401..=428 | 430..=499) => return Err(NoAnswer::NotTaken(status)),
            status => return Err(FetchError::Status { url, status }.into()),
        }
        let body = read(response, url).await?;
        let claims = if is_jwt {
            // It was signed later than it was asked for.
            let now = now.saturating_add(asked.elapsed().as_secs() + 1);
            signed(issuer, &self.how.auth.client_id, &body, now).await?
        } else {
            match parse_strict(&body) {
                // Whoever says so, it can only be refused.
                Ok(Value::Object(claims)) if claims.get("active") == Some(&Value::Bool(false)) => {
                    claims
                }
                _ if self.how.signed => {
                    return Err(NoAnswer::Odd("is not signed, which .signed_responses() asks"));
                }
                Ok(Value::Object(claims)) => claims,
                _ => return Err(NoAnswer::Odd("is no JSON object")),
            }
        };
        Said::new(issuer, claims, until).map_err(NoAnswer::Refused)
    }

    /// A poisoned lock holds plain data that is right at any time.
    fn flights(&self) -> MutexGuard<'_, HashMap<Digest, Asked>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A token that is asked about.
struct Token {
    text: String,
    digest: Digest,
    /// Whether it was active not long ago.
    seen_before: bool,
}

/// One introspection, for all who wait.
async fn introspection(
    issuer: Arc<Trusted>,
    token: Token,
    now: u64,
    place: OwnedSemaphorePermit,
) -> Answer {
    let Some(this) = &issuer.introspector else { return Err(INACTIVE) };
    let Token { text, digest, seen_before } = token;
    let answer = match this.send(&issuer, &text, now).await {
        Ok(said) => {
            this.breaker.succeeded();
            Ok(Arc::new(said))
        }
        Err(NoAnswer::Refused(cause)) => {
            this.breaker.succeeded();
            this.inactive.insert(digest, ());
            Err(cause)
        }
        Err(error) => {
            tracing::error!(issuer = issuer.name, %error, "a token could not be introspected");
            if error.is_the_endpoints(seen_before) {
                this.breaker.failed();
            } else {
                this.breaker.answered();
            }
            Err(unavailable(Duration::ZERO))
        }
    };
    this.flights().remove(&digest);
    drop(place);
    answer
}

fn unavailable(pause: Duration) -> Cause {
    let seconds = u32::try_from(pause.as_secs()).unwrap_or(u32::MAX);
    Cause::Unavailable { retry_after: seconds.saturating_add(1) }
}
