//! A client with a key that makes DPoP proofs (RFC 9449 §4.2).

use crate::dpop::proof::PROOF;
use crate::jose::jwk::thumbprint;
use crate::support::clock::{Clock, SystemClock};
use crate::support::digest::sha256;
use crate::testing::json::{object, set};
use crate::testing::key::{TestAlgorithm, TestKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A client with its own key.
#[derive(Debug, Clone)]
pub struct TestHolder(Arc<TestKey>);

/// A builder for a DPoP proof.
#[derive(Debug, Clone)]
#[must_use = "finish with .sign()"]
pub struct TestProof {
    key: Arc<TestKey>,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl TestHolder {
    /// A client with a new key.
    ///
    /// # Errors
    /// If no key can be generated.
    pub fn new(algorithm: TestAlgorithm) -> io::Result<Self> {
        Ok(Self(Arc::new(TestKey::generate("", algorithm)?)))
    }

    /// The thumbprint of its key, for `cnf.jkt`.
    pub fn thumbprint(&self) -> String {
        self.0.bare_jwk().as_object().and_then(thumbprint).unwrap_or_default()
    }

    /// Starts a request with this token and a proof for it.
    ///
    /// ```
    /// use stepup_runtime::testing::{TestAlgorithm, TestHolder};
    ///
    /// # fn test(token: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// let holder = TestHolder::new(TestAlgorithm::Es256)?;
    /// let request = holder.request("POST", "https://api.test/pay", token).body(())?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn request(&self, method: &str, url: &str, token: &str) -> http::request::Builder {
        http::Request::builder()
            .method(method)
            .uri(url)
            .header(http::header::AUTHORIZATION, format!("DPoP {token}"))
            .header(PROOF, self.proof(method, url, token).sign())
    }

    /// Starts a proof, made now, for a request with this token.
    pub fn proof(&self, method: &str, url: &str, token: &str) -> TestProof {
        static PROOFS: AtomicU64 = AtomicU64::new(0);
        let header =
            json!({"typ": "dpop+jwt", "alg": self.0.algorithm(), "jwk": self.0.bare_jwk()});
        let claims = json!({
            "htm": method,
            "htu": url,
            "iat": SystemClock.now(),
            "jti": format!("proof-{}", PROOFS.fetch_add(1, Ordering::Relaxed)),
            "ath": URL_SAFE_NO_PAD.encode(sha256(token.as_bytes())),
        });
        TestProof { key: Arc::clone(&self.0), header: object(header), claims: object(claims) }
    }
}

impl TestProof {
    /// Sets a claim; `null` removes it.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.claims, name, value.into());
        self
    }

    /// Sets a header parameter; `null` removes it.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.header, name, value.into());
        self
    }

    /// Signs the proof.
    pub fn sign(self) -> String {
        let payload = Value::Object(self.claims).to_string();
        self.key.sign(&self.header, payload.as_bytes())
    }
}
