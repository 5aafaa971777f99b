//! A development issuer: discovery, keys, introspection.

use crate::axum::test_server::serve;
use crate::config::issuer::Issuer;
use crate::support::clock::{Clock, SystemClock};
use crate::testing::AUDIENCE;
use crate::testing::json::object;
use crate::testing::key::{TestAlgorithm, TestKey};
use crate::testing::token::TestToken;
use crate::token::introspection::options::Introspection;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// A development issuer on loopback. Its keys are generated at start; it serves discovery, its key set and
/// introspection, and stops when it is dropped.
#[derive(Debug)]
pub struct TestIssuer {
    url: String,
    shared: Arc<Shared>,
    server: AbortHandle,
}

/// The state that the server and the minting side share.
#[derive(Debug)]
struct Shared {
    url: String,
    key: RwLock<Arc<TestKey>>,
    /// Public keys that are served in addition to the signing key's.
    retiring: RwLock<Vec<Value>>,
    /// Additional members of the discovery document.
    published: RwLock<Map<String, Value>>,
    /// The introspection responses.
    introspection: RwLock<HashMap<String, Map<String, Value>>>,
    down: AtomicBool,
    key_requests: AtomicUsize,
    introspections: AtomicUsize,
}

impl TestIssuer {
    /// Starts an issuer that signs with ES256, on a free port.
    ///
    /// # Errors
    /// If no port is free or no key can be generated.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(TestAlgorithm::Es256).await
    }

    /// Starts an issuer that signs with this algorithm.
    ///
    /// # Errors
    /// If no port is free or no key can be generated.
    pub async fn start_with(algorithm: TestAlgorithm) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            url: url.clone(),
            key: RwLock::new(Arc::new(TestKey::generate("key-0", algorithm)?)),
            retiring: RwLock::default(),
            published: RwLock::default(),
            introspection: RwLock::default(),
            down: AtomicBool::new(false),
            key_requests: AtomicUsize::new(0),
            introspections: AtomicUsize::new(0),
        });
        let state = Arc::clone(&shared);
        let server = serve(
            listener,
            Arc::new(move |parts, body| {
                let response = state.respond(parts, body);
                response.unwrap_or_else(|status| {
                    let mut response = Response::new(String::new());
                    *response.status_mut() = status;
                    response
                })
            }),
        );
        let server = tokio::spawn(server).abort_handle();
        Ok(Self { url, shared, server })
    }

    /// Its name and address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// This issuer, configured for an API with the audience [`AUDIENCE`].
    pub fn issuer(&self) -> Issuer {
        Issuer::new(&self.url, AUDIENCE)
    }

    /// Its key set, as JSON.
    pub fn jwks(&self) -> String {
        self.shared.jwks().to_string()
    }

    /// Starts a valid token of `alice`, who authenticated just now without a stated method.
    pub fn token(&self) -> TestToken {
        self.token_at(SystemClock.now())
    }

    /// Starts a token that is issued at this time, in seconds since the epoch.
    pub fn token_at(&self, now: u64) -> TestToken {
        let key = self.shared.key();
        let header = json!({"typ": "at+jwt", "alg": key.algorithm(), "kid": key.kid});
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
        TestToken { key, header: object(header), claims: object(claims) }
    }

    /// A token after a login with a password only, just now.
    pub fn password_token(&self) -> String {
        self.token().claim("amr", json!(["pwd"])).mint()
    }

    /// A token after a login with a password and a one-time code, just now.
    pub fn mfa_token(&self) -> String {
        self.token().claim("amr", json!(["pwd", "otp", "mfa"])).mint()
    }

    /// A token after a login with a password and a one-time code, an hour ago.
    pub fn old_mfa_token(&self) -> String {
        let hour_ago = SystemClock.now() - 3600;
        self.token().claim("amr", json!(["pwd", "otp", "mfa"])).claim("auth_time", hour_ago).mint()
    }

    /// Signs with a new key from now on, and publishes only the new key.
    ///
    /// # Errors
    /// If no key can be generated.
    pub fn rotate(&self, kid: &str, algorithm: TestAlgorithm) -> io::Result<()> {
        let key = Arc::new(TestKey::generate(kid, algorithm)?);
        *write(&self.shared.key) = key;
        write(&self.shared.retiring).clear();
        Ok(())
    }

    /// Signs with a new key from now on, and publishes the old keys too.
    ///
    /// # Errors
    /// If no key can be generated.
    pub fn rotate_keeping(&self, kid: &str, algorithm: TestAlgorithm) -> io::Result<()> {
        let new = Arc::new(TestKey::generate(kid, algorithm)?);
        let old = std::mem::replace(&mut *write(&self.shared.key), new);
        write(&self.shared.retiring).push(old.jwk());
        Ok(())
    }

    /// Adds a member to the discovery document.
    pub fn publish(&self, name: &str, value: impl Into<Value>) {
        write(&self.shared.published).insert(name.to_owned(), value.into());
    }

    /// How the API introspects tokens at this issuer.
    pub fn introspection(&self) -> Introspection {
        Introspection::client_secret_basic(CLIENT_ID, CLIENT_SECRET)
    }

    /// Turns the token into an opaque one, which must be introspected.
    pub fn opaque(&self, token: TestToken) -> String {
        let mut responses = write(&self.shared.introspection);
        let name = format!("opaque-{}", responses.len());
        responses.insert(name.clone(), token.claims);
        name
    }

    /// Sets the introspection response for a token of any form.
    pub fn set_introspection(&self, token: &str, claims: Value) {
        write(&self.shared.introspection).insert(token.to_owned(), object(claims));
    }

    /// Makes an opaque token inactive.
    pub fn revoke(&self, opaque: &str) {
        if let Some(claims) = write(&self.shared.introspection).get_mut(opaque) {
            claims.insert("active".into(), false.into());
        }
    }

    /// The number of introspection requests so far.
    pub fn introspections(&self) -> usize {
        self.shared.introspections.load(Ordering::SeqCst)
    }

    /// Answers 500 to every request, or serves again.
    pub fn set_down(&self, down: bool) {
        self.shared.down.store(down, Ordering::SeqCst);
    }

    /// The number of requests for the keys so far.
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
    fn key(&self) -> Arc<TestKey> {
        Arc::clone(&read(&self.key))
    }

    fn jwks(&self) -> Value {
        let mut keys = vec![self.key().jwk()];
        keys.extend(read(&self.retiring).iter().cloned());
        json!({ "keys": keys })
    }

    fn respond(&self, parts: &Parts, body: &[u8]) -> Result<Response<String>, StatusCode> {
        let path = parts.uri.path();
        match path {
            "/jwks" => self.key_requests.fetch_add(1, Ordering::SeqCst),
            "/introspect" => self.introspections.fetch_add(1, Ordering::SeqCst),
            _ => 0,
        };
        if self.down.load(Ordering::SeqCst) {
            return Err(StatusCode::INTERNAL_SERVER_ERROR);
        }
        match (&parts.method, path) {
            (&Method::GET, "/.well-known/openid-configuration") => {
                Ok(json_response(&self.discovery()))
            }
            (&Method::GET, "/jwks") => Ok(json_response(&self.jwks())),
            (&Method::POST, "/introspect") => self.introspect(&parts.headers, body),
            _ => Err(StatusCode::NOT_FOUND),
        }
    }

    fn discovery(&self) -> Value {
        let url = &self.url;
        let mut document = read(&self.published).clone();
        for (name, value) in [
            ("issuer", url.clone()),
            ("jwks_uri", format!("{url}/jwks")),
            ("introspection_endpoint", format!("{url}/introspect")),
        ] {
            document.entry(name).or_insert(value.into());
        }
        document.into()
    }

    /// RFC 7662 §2, and RFC 9701 §4 for a client that accepts a signed response.
    fn introspect(&self, headers: &HeaderMap, body: &[u8]) -> Result<Response<String>, StatusCode> {
        let expected = format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
        if headers.get(AUTHORIZATION).is_none_or(|presented| presented != expected.as_str()) {
            return Err(StatusCode::UNAUTHORIZED);
        }
        let mut form = form_urlencoded::parse(body);
        let token = form.find(|(name, _)| name == "token").ok_or(StatusCode::BAD_REQUEST)?.1;
        let mut claims = read(&self.introspection).get(&*token).cloned().unwrap_or_default();
        let known = !claims.is_empty();
        claims.entry("active").or_insert(known.into());
        let accept =
            headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        if accept != JWT {
            return Ok(json_response(&Value::from(claims)));
        }
        let key = self.key();
        let header =
            json!({"typ": "token-introspection+jwt", "alg": key.algorithm(), "kid": key.kid});
        let response = json!({
            "iss": self.url, "aud": CLIENT_ID, "iat": SystemClock.now(), "token_introspection": claims,
        });
        let jwt = key.sign(&object(header), response.to_string().as_bytes());
        Ok(typed_response(JWT, jwt))
    }
}

const JWT: &str = "application/token-introspection+jwt";

/// The API's credentials at the issuer.
const CLIENT_ID: &str = "test-api";
const CLIENT_SECRET: &str = "test-secret";

fn json_response(body: &Value) -> Response<String> {
    typed_response("application/json", body.to_string())
}

fn typed_response(media_type: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    let media_type = http::HeaderValue::from_static(media_type);
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
