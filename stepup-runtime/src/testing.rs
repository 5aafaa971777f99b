//! For tests and examples: a development issuer on loopback, and a clock to set. Never for
//! production: whoever can reach it can have any token.

use crate::clock::{Clock, SystemClock};
use crate::issuer::Issuer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

pub use crate::guard::Guard;

/// The audience of [`TestIssuer::issuer`] and of the tokens it mints.
pub const AUDIENCE: &str = "https://api.test";

/// A clock that stands still until it is set. Clones share the time.
#[derive(Debug, Clone)]
pub struct TestClock(Arc<AtomicU64>);

impl TestClock {
    /// A clock that shows this time, in seconds since the epoch.
    pub fn at(now: u64) -> Self {
        Self(Arc::new(AtomicU64::new(now)))
    }

    /// A clock that shows the system's time.
    pub fn system() -> Self {
        Self::at(SystemClock.now())
    }

    /// Moves it ahead.
    pub fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Sets it.
    pub fn set(&self, now: u64) {
        self.0.store(now, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// What a [`TestIssuer`] signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TestAlgorithm {
    /// ECDSA with P-256.
    #[default]
    Es256,
    /// RSA PKCS #1 v1.5 with 2048 bits.
    Rs256,
    /// Ed25519.
    EdDsa,
}

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
    down: AtomicBool,
    key_requests: AtomicUsize,
}

#[derive(Debug)]
struct SigningKey {
    kid: String,
    pair: Pair,
}

#[derive(Debug)]
enum Pair {
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
    EdDsa(Ed25519KeyPair),
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
            down: AtomicBool::new(false),
            key_requests: AtomicUsize::new(0),
        });
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(jwks))
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
        *self.shared.key.write().unwrap_or_else(PoisonError::into_inner) = key;
        Ok(())
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
        Arc::clone(&self.key.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn jwks(&self) -> Value {
        json!({"keys": [self.key().jwk()]})
    }
}

async fn discovery(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, StatusCode> {
    if shared.down.load(Ordering::SeqCst) {
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    let url = &shared.url;
    Ok(Json(json!({"issuer": url, "jwks_uri": format!("{url}/jwks")})))
}

async fn jwks(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, StatusCode> {
    shared.key_requests.fetch_add(1, Ordering::SeqCst);
    if shared.down.load(Ordering::SeqCst) {
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    Ok(Json(shared.jwks()))
}

impl SigningKey {
    fn generate(kid: &str, algorithm: TestAlgorithm) -> io::Result<Self> {
        let failed = |_| io::Error::other("no key could be made");
        let pair = match algorithm {
            TestAlgorithm::Es256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Pair::Es256)
            }
            TestAlgorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048).map(Pair::Rs256),
            TestAlgorithm::EdDsa => Ed25519KeyPair::generate().map(Pair::EdDsa),
        };
        Ok(Self { kid: kid.to_owned(), pair: pair.map_err(failed)? })
    }

    fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Es256(_) => "ES256",
            Pair::Rs256(_) => "RS256",
            Pair::EdDsa(_) => "EdDSA",
        }
    }

    fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.pair {
            Pair::Es256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)})
            }
            Pair::Rs256(pair) => {
                let RsaPublicKeyComponents::<Vec<u8>> { n, e } = pair.public_key().into();
                json!({"kty": "RSA", "n": encode(&n), "e": encode(&e)})
            }
            Pair::EdDsa(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref())})
            }
        };
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk["alg"] = json!(self.algorithm());
        jwk
    }

    #[expect(clippy::expect_used, reason = "for tests, with a key that was just made")]
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Es256(pair) => {
                pair.sign(&random, message).expect("ECDSA signs").as_ref().to_vec()
            }
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("RSA signs");
                signature
            }
            Pair::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

/// A token in the making.
#[derive(Debug, Clone)]
#[must_use = "finish with .mint()"]
pub struct TestToken {
    key: Arc<SigningKey>,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl TestToken {
    /// Sets a claim.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves a claim out.
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Sets a header parameter; `null` leaves it out.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        match value.into() {
            Value::Null => self.header.remove(name),
            value => self.header.insert(name.to_owned(), value),
        };
        self
    }

    /// Signs the token.
    pub fn mint(self) -> String {
        let payload = Value::Object(self.claims.clone()).to_string();
        self.mint_payload(payload.as_bytes())
    }

    /// Signs these bytes in place of the claims.
    pub fn mint_payload(&self, payload: &[u8]) -> String {
        let header = Value::Object(self.header.clone()).to_string();
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let message = format!("{}.{}", encode(header.as_bytes()), encode(payload));
        let signature = encode(&self.key.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }
}
