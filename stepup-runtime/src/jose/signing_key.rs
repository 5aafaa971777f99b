//! Signs JWTs with jsonwebtoken: this API's client assertions (RFC 7523) and the tokens of the test issuer.
//!
//! jsonwebtoken's aws-lc-rs provider is named directly. The process-wide default may be another one, or none: with
//! both of jsonwebtoken's crypto features enabled and no provider installed, the default panics at first use.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Map, Value};
use std::fmt;
use thiserror::Error;

/// A private key that can sign.
pub(crate) struct SigningKey {
    key: EncodingKey,
    algorithm: Algorithm,
}

/// Why a private key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum SigningKeyError {
    #[error("no private key in PKCS #8 PEM; `openssl pkcs8 -topk8 -nocrypt` converts a key to PEM")]
    NotPem,
    #[error("the key is not a P-256, Ed25519 or RSA key")]
    UnknownKind,
}

impl SigningKey {
    /// Reads a key in PKCS #8 PEM (`-----BEGIN PRIVATE KEY-----`): P-256, Ed25519 or RSA.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, SigningKeyError> {
        // A certificate may precede the key.
        let start = pem.find("-----BEGIN PRIVATE KEY-----").ok_or(SigningKeyError::NotPem)?;
        let pem = &pem.as_bytes()[start..];
        let candidates = [
            (EncodingKey::from_ec_pem(pem), Algorithm::ES256),
            (EncodingKey::from_ed_pem(pem), Algorithm::EdDSA),
            (EncodingKey::from_rsa_pem(pem), Algorithm::RS256),
        ];
        candidates
            .into_iter()
            .filter_map(|(key, algorithm)| Some(Self { key: key.ok()?, algorithm }))
            // Some kinds are only parsed when they sign.
            .find(|key| key.sign(b"").is_some())
            .ok_or(SigningKeyError::UnknownKind)
    }

    /// The name of the algorithm that the key signs with.
    pub(crate) fn algorithm(&self) -> &'static str {
        match self.algorithm {
            Algorithm::ES256 => "ES256",
            Algorithm::EdDSA => "EdDSA",
            _ => "RS256",
        }
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let signer = (DEFAULT_PROVIDER.signer_factory)(&self.algorithm, &self.key).ok()?;
        signer.try_sign(message).ok()
    }

    /// A compact JWS over these bytes (RFC 7515 §3.1). `None` when signing fails.
    pub(crate) fn compact(&self, header: &Map<String, Value>, payload: &[u8]) -> Option<String> {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let header = Value::Object(header.clone()).to_string();
        let message = format!("{}.{}", encode(header.as_bytes()), encode(payload));
        let signature = self.sign(message.as_bytes())?;
        Some(format!("{message}.{}", encode(&signature)))
    }

    /// The public half as a JWK, without `kid` and `use`.
    #[cfg(feature = "testing")]
    pub(crate) fn public_jwk(&self) -> Value {
        use serde_json::json;
        let encode = |bytes: Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
        let der = self.key.as_bytes();
        let utils = &DEFAULT_PROVIDER.key_utils;
        let jwk = match self.algorithm {
            Algorithm::ES256 => (utils.ec_pub_components_from_private_key)(der, self.algorithm)
                .map(|(_, x, y)| {
                    json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)})
                }),
            Algorithm::EdDSA => {
                let curve = jsonwebtoken::jwk::EllipticCurve::Ed25519;
                (utils.ed_pub_components_from_private_key)(der, &curve)
                    .map(|x| json!({"kty": "OKP", "crv": "Ed25519", "x": encode(x)}))
            }
            _ => (utils.rsa_pub_components_from_private_key)(der)
                .map(|(n, e)| json!({"kty": "RSA", "n": encode(n), "e": encode(e)})),
        };
        jwk.unwrap_or_default()
    }
}

impl fmt::Debug for SigningKey {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}
