//! Tokens in the making, and the keys that sign them.

use crate::signing::Pair;
use crate::testing::{TestAlgorithm, TestHolder};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair,
    RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use std::io;
use std::sync::Arc;

/// A private key with the name of its public half.
#[derive(Debug)]
pub(crate) struct SigningKey {
    pub(crate) kid: String,
    pub(crate) pair: Pair,
}

impl SigningKey {
    pub(crate) fn generate(kid: &str, algorithm: TestAlgorithm) -> io::Result<Self> {
        let pair = match algorithm {
            TestAlgorithm::Es256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Pair::Es256)
            }
            TestAlgorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048).map(Pair::Rs256),
            TestAlgorithm::EdDsa => Ed25519KeyPair::generate().map(Pair::EdDsa),
        };
        let pair = pair.map_err(|_| io::Error::other("no key could be made"))?;
        Ok(Self { kid: kid.to_owned(), pair })
    }

    /// The public half as a JWK.
    pub(crate) fn jwk(&self) -> Value {
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
        jwk["alg"] = json!(self.pair.algorithm());
        jwk
    }
}

/// A token in the making.
#[derive(Debug, Clone)]
#[must_use = "finish with .mint()"]
pub struct TestToken {
    pub(crate) key: Arc<SigningKey>,
    pub(crate) header: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
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

    /// Binds the token to a key (RFC 9449 §6.1).
    pub fn bound_to(self, holder: &TestHolder) -> Self {
        self.claim("cnf", json!({"jkt": holder.thumbprint()}))
    }

    /// Signs the token.
    pub fn mint(self) -> String {
        let payload = Value::Object(self.claims.clone()).to_string();
        self.mint_payload(payload.as_bytes())
    }

    /// Signs these bytes in place of the claims.
    ///
    /// # Panics
    /// When the key does not sign, which one that was just made does.
    #[expect(clippy::expect_used, reason = "for tests, with a key that was just made")]
    pub fn mint_payload(&self, payload: &[u8]) -> String {
        self.key.pair.compact(&self.header, payload).expect("the key signs")
    }
}
