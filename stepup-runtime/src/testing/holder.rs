//! A client that holds a key and makes DPoP proofs with it (RFC 9449 §4.2).

use crate::clock::{Clock, SystemClock};
use crate::dpop::thumbprint;
use crate::testing::TestAlgorithm;
use crate::testing::token::SigningKey;
use crate::tokens::digest_of;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// See the module.
#[derive(Debug, Clone)]
pub struct TestHolder(Arc<SigningKey>);

/// A proof in the making.
#[derive(Debug, Clone)]
#[must_use = "finish with .sign()"]
pub struct TestProof {
    key: Arc<SigningKey>,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl TestHolder {
    /// A client with a new key.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new(algorithm: TestAlgorithm) -> io::Result<Self> {
        Ok(Self(Arc::new(SigningKey::generate("", algorithm)?)))
    }

    /// The thumbprint of its key, for `cnf.jkt`.
    pub fn thumbprint(&self) -> String {
        self.0.jwk().as_object().and_then(thumbprint).unwrap_or_default()
    }

    /// Begins a proof, made now, for a request with this token.
    pub fn proof(&self, method: &str, url: &str, token: &str) -> TestProof {
        static PROOFS: AtomicU64 = AtomicU64::new(0);
        let mut jwk = self.0.jwk();
        if let Some(jwk) = jwk.as_object_mut() {
            jwk.retain(|name, _| ["kty", "crv", "x", "y", "n", "e"].contains(&name.as_str()));
        }
        let header = json!({"typ": "dpop+jwt", "alg": self.0.pair.algorithm(), "jwk": jwk});
        let claims = json!({
            "htm": method,
            "htu": url,
            "iat": SystemClock.now(),
            "jti": format!("proof-{}", PROOFS.fetch_add(1, Ordering::Relaxed)),
            "ath": URL_SAFE_NO_PAD.encode(digest_of(token.as_bytes())),
        });
        let map = |value: Value| value.as_object().cloned().unwrap_or_default();
        TestProof { key: Arc::clone(&self.0), header: map(header), claims: map(claims) }
    }
}

impl TestProof {
    /// Sets a claim; `null` leaves it out.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.claims, name, value.into());
        self
    }

    /// Sets a header parameter; `null` leaves it out.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.header, name, value.into());
        self
    }

    /// Signs it.
    ///
    /// # Panics
    /// When the key does not sign, which one that was just made does.
    #[expect(clippy::expect_used, reason = "for tests, with a key that was just made")]
    pub fn sign(self) -> String {
        let payload = Value::Object(self.claims).to_string();
        self.key.pair.compact(&self.header, payload.as_bytes()).expect("the key signs")
    }
}

fn set(map: &mut Map<String, Value>, name: &str, value: Value) {
    match value {
        Value::Null => map.remove(name),
        value => map.insert(name.to_owned(), value),
    };
}
