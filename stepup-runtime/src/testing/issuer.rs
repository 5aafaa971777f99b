//! A development issuer: discovery, keys, introspection.

use crate::clock::{Clock, SystemClock};
use crate::introspection::Introspection;
use crate::issuer::Issuer;
use crate::testing::token::SigningKey;
use crate::testing::{AUDIENCE, TestAlgorithm, TestToken};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// A development issuer on loopback: its keys are made at start, and it serves discovery and JWKS.
/// It stops when it is dropped.
#[derive(Debug)]
pub struct TestIssuer {
    url: String,
    shared: Arc<Shared>,
    server: AbortHandle,
}

/// What the server and the minting side share.
#[derive(Debug)]
struct Shared {
    url: String,
    key: RwLock<Arc<SigningKey>>,
    /// The public halves that are served beside the signing key's.
    retiring: RwLock<Vec<Value>>,
    /// What the discovery document holds beside the addresses.
    published: RwLock<Map<String, Value>>,
    /// What is said of opaque tokens.
    opaque: RwLock<HashMap<String, Map<String, Value>>>,
    down: AtomicBool,
    key_requests: AtomicUsize,
    introspections: AtomicUsize,
}

impl TestIssuer {
    /// Starts one that signs with ES256, on a free port.
    ///
    /// # Errors
    /// When no port can be had or no key be made.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(TestAlgorithm::Es256).await
    }

    /// Starts one that signs with this algorithm.
    ///
    /// # Errors
    /// When no port can be had or no key be made.
    pub async fn start_with(algorithm: TestAlgorithm) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            url: url.clone(),
            key: RwLock::new(Arc::new(SigningKey::generate("key-0", algorithm)?)),
            retiring: RwLock::default(),
            published: RwLock::default(),
            opaque: RwLock::default(),
            down: AtomicBool::new(false),
            key_requests: AtomicUsize::new(0),
            introspections: AtomicUsize::new(0),
        });
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(jwks))
            .route("/introspect", post(introspect))
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            // Ends with the task.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { url, shared, server: server.abort_handle() })
    }

    /// Its name and address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// It, as an API with the audience [`AUDIENCE`] trusts it.
    pub fn issuer(&self) -> Issuer {
        Issuer::new(&self.url, AUDIENCE)
    }

    /// Its key set, as JSON.
    pub fn jwks(&self) -> String {
        self.shared.jwks().to_string()
    }

    /// Begins a token: valid, of `alice`, authenticated just now by nothing in particular.
    pub fn token(&self) -> TestToken {
        self.token_at(SystemClock.now())
    }

    /// Begins a token that is issued at this time, in seconds since the epoch.
    pub fn token_at(&self, now: u64) -> TestToken {
        let key = self.shared.key();
        let header = json!({"typ": "at+jwt", "alg": key.pair.algorithm(), "kid": key.kid});
        let claims = json!({
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "alice",
            "client_id": "test-client",
            "jti": format!("{now}"),
            "iat": now,
            "exp": now + 3600,
            "auth_time": now,
        });
        let map = |value: Value| value.as_object().cloned().unwrap_or_default();
        TestToken { key, header: map(header), claims: map(claims) }
    }

    /// A token after a login with the password only, just now.
    pub fn password_token(&self) -> String {
        self.token().claim("amr", json!(["pwd"])).mint()
    }

    /// A token after a login with password and one-time code, just now.
    pub fn mfa_token(&self) -> String {
        self.token().claim("amr", json!(["pwd", "otp", "mfa"])).mint()
    }

    /// A token after a login with password and one-time code, an hour ago.
    pub fn old_mfa_token(&self) -> String {
        let hour_ago = SystemClock.now() - 3600;
        self.token().claim("amr", json!(["pwd", "otp", "mfa"])).claim("auth_time", hour_ago).mint()
    }

    /// Signs with a new key from now on, and publishes that alone.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn rotate(&self, kid: &str, algorithm: TestAlgorithm) -> io::Result<()> {
        let key = Arc::new(SigningKey::generate(kid, algorithm)?);
        *write(&self.shared.key) = key;
        write(&self.shared.retiring).clear();
        Ok(())
    }

    /// Signs with a new key from now on, and publishes it beside the old ones.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn rotate_keeping(&self, kid: &str, algorithm: TestAlgorithm) -> io::Result<()> {
        let new = Arc::new(SigningKey::generate(kid, algorithm)?);
        let old = std::mem::replace(&mut *write(&self.shared.key), new);
        write(&self.shared.retiring).push(old.jwk());
        Ok(())
    }

    /// Publishes this in the discovery document too.
    pub fn publish(&self, name: &str, value: impl Into<Value>) {
        write(&self.shared.published).insert(name.to_owned(), value.into());
    }

    /// How the API introspects opaque tokens here.
    pub fn introspection(&self) -> Introspection {
        Introspection::client_secret_basic(CLIENT_ID, CLIENT_SECRET)
    }

    /// Makes the token an opaque one, which tells nothing: the issuer must be asked.
    pub fn opaque(&self, token: TestToken) -> String {
        let mut opaque = write(&self.shared.opaque);
        let name = format!("opaque-{}", opaque.len());
        opaque.insert(name.clone(), token.claims);
        name
    }

    /// Says this of a token when it is asked about it, whatever the token is.
    pub fn say_of(&self, token: &str, claims: Value) {
        let claims = claims.as_object().cloned().unwrap_or_default();
        write(&self.shared.opaque).insert(token.to_owned(), claims);
    }

    /// Makes an opaque token inactive.
    pub fn revoke(&self, opaque: &str) {
        if let Some(claims) = write(&self.shared.opaque).get_mut(opaque) {
            claims.insert("active".into(), false.into());
        }
    }

    /// How often tokens were asked about.
    pub fn introspections(&self) -> usize {
        self.shared.introspections.load(Ordering::SeqCst)
    }

    /// Answers 500 to everything, or serves again.
    pub fn set_down(&self, down: bool) {
        self.shared.down.store(down, Ordering::SeqCst);
    }

    /// How often the keys were asked for.
    pub fn key_requests(&self) -> usize {
        self.shared.key_requests.load(Ordering::SeqCst)
    }
}

impl Drop for TestIssuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn key(&self) -> Arc<SigningKey> {
        Arc::clone(&read(&self.key))
    }

    fn jwks(&self) -> Value {
        let mut keys = vec![self.key().jwk()];
        keys.extend(read(&self.retiring).iter().cloned());
        json!({ "keys": keys })
    }
}

async fn discovery(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, StatusCode> {
    if shared.down.load(Ordering::SeqCst) {
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    let url = &shared.url;
    let mut document = read(&shared.published).clone();
    for (name, value) in [
        ("issuer", url.clone()),
        ("jwks_uri", format!("{url}/jwks")),
        ("introspection_endpoint", format!("{url}/introspect")),
    ] {
        document.entry(name).or_insert(value.into());
    }
    Ok(Json(document.into()))
}

async fn jwks(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, StatusCode> {
    shared.key_requests.fetch_add(1, Ordering::SeqCst);
    if shared.down.load(Ordering::SeqCst) {
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    Ok(Json(shared.jwks()))
}

/// RFC 7662 §2, and RFC 9701 §4 for a client that asks for a signed answer.
async fn introspect(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: String,
) -> Result<Response, StatusCode> {
    shared.introspections.fetch_add(1, Ordering::SeqCst);
    if shared.down.load(Ordering::SeqCst) {
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    let expected = format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
    if headers.get(AUTHORIZATION).is_none_or(|shown| shown != expected.as_str()) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let mut form = form_urlencoded::parse(body.as_bytes());
    let token = form.find(|(name, _)| name == "token").ok_or(StatusCode::BAD_REQUEST)?.1;
    let mut claims = read(&shared.opaque).get(&*token).cloned().unwrap_or_default();
    let known = !claims.is_empty();
    claims.entry("active").or_insert(known.into());
    let wants = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if wants != JWT {
        return Ok(Json(Value::from(claims)).into_response());
    }
    let key = shared.key();
    let header = json!({
        "typ": "token-introspection+jwt", "alg": key.pair.algorithm(), "kid": key.kid,
    });
    let answer = json!({
        "iss": shared.url, "aud": CLIENT_ID, "iat": SystemClock.now(), "token_introspection": claims,
    });
    let header = header.as_object().cloned().unwrap_or_default();
    let jwt = key.pair.compact(&header, answer.to_string().as_bytes());
    let jwt = jwt.ok_or(StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(CONTENT_TYPE, JWT)], jwt).into_response())
}

const JWT: &str = "application/token-introspection+jwt";

/// The API's own credentials at the issuer.
const CLIENT_ID: &str = "test-api";
const CLIENT_SECRET: &str = "test-secret";

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
