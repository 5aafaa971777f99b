//! Signing: this API's own assertions to an issuer (RFC 7523), and what a test issuer mints.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Map, Value};

/// A private key.
#[derive(Debug)]
pub(crate) enum Pair {
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

impl Pair {
    /// A key in PKCS #8 PEM (`-----BEGIN PRIVATE KEY-----`); any kind that can be signed with.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, &'static str> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(
            |_| "is not PKCS #8 PEM (-----BEGIN PRIVATE KEY-----); `openssl pkcs8 -topk8` makes it",
        )?;
        let der = der.secret_pkcs8_der();
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
            .map(Self::Es256)
            .or_else(|_| Ed25519KeyPair::from_pkcs8(der).map(Self::EdDsa))
            .or_else(|_| RsaKeyPair::from_pkcs8(der).map(Self::Rs256))
            .map_err(|_| "is no P-256, Ed25519 or RSA key")
    }

    /// The name of the algorithm that it signs with.
    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::Rs256(_) => "RS256",
            Self::EdDsa(_) => "EdDSA",
        }
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Es256(pair) => Some(pair.sign(&random, message).ok()?.as_ref().to_vec()),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).ok()?;
                Some(signature)
            }
            Self::EdDsa(pair) => Some(pair.sign(message).as_ref().to_vec()),
        }
    }

    /// A compact JWS over these bytes.
    pub(crate) fn compact(&self, header: &Map<String, Value>, payload: &[u8]) -> Option<String> {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let header = Value::Object(header.clone()).to_string();
        let message = format!("{}.{}", encode(header.as_bytes()), encode(payload));
        let signature = self.sign(message.as_bytes())?;
        Some(format!("{message}.{}", encode(&signature)))
    }
}
