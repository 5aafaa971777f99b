//! The keys of test issuers and test clients.

use crate::jose::signing_key::SigningKey;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use std::io;

/// The algorithm with which a test issuer or a [`TestHolder`](crate::testing::TestHolder) signs.
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

/// A private key with an id.
#[derive(Debug)]
pub(crate) struct TestKey {
    pub(crate) kid: String,
    key: SigningKey,
    public: Value,
}

impl TestKey {
    pub(crate) fn generate(kid: &str, algorithm: TestAlgorithm) -> io::Result<Self> {
        let key = SigningKey::from_pem(&pem(algorithm)?).map_err(io::Error::other)?;
        let public = key.public_jwk();
        Ok(Self { kid: kid.to_owned(), key, public })
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        self.key.algorithm()
    }

    /// The public half as a JWK with nothing but its numbers.
    pub(crate) fn bare_jwk(&self) -> Value {
        self.public.clone()
    }

    /// The public half as an entry of a key set.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = self.public.clone();
        jwk["kid"] = self.kid.as_str().into();
        jwk["use"] = "sig".into();
        jwk["alg"] = self.algorithm().into();
        jwk
    }

    /// A compact JWS.
    ///
    /// # Panics
    /// If signing fails, which it does not for a generated key.
    #[expect(clippy::expect_used, reason = "for tests, with a generated key")]
    pub(crate) fn sign(&self, header: &Map<String, Value>, payload: &[u8]) -> String {
        self.key.compact(header, payload).expect("a generated key signs")
    }
}

/// A new private key as PKCS #8 PEM.
fn pem(algorithm: TestAlgorithm) -> io::Result<String> {
    let failed = |_| io::Error::other("no key could be generated");
    let der: Vec<u8> = match algorithm {
        TestAlgorithm::Es256 => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
            pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec()
        }
        TestAlgorithm::Rs256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
            AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(failed)?.as_ref().to_vec()
        }
        TestAlgorithm::EdDsa => {
            let pair = Ed25519KeyPair::generate().map_err(failed)?;
            pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec()
        }
    };
    let body = STANDARD.encode(der);
    let lines: Vec<&str> = (0..body.len())
        .step_by(64)
        .filter_map(|at| body.get(at..body.len().min(at + 64)))
        .collect();
    Ok(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_may_precede_a_private_key() {
        let certificate = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
        for algorithm in [TestAlgorithm::Es256, TestAlgorithm::Rs256, TestAlgorithm::EdDsa] {
            let key = pem(algorithm).unwrap();
            assert!(SigningKey::from_pem(&format!("{certificate}{key}")).is_ok(), "{algorithm:?}");
        }
        assert!(SigningKey::from_pem(certificate).is_err());
    }
}
