//! The accepted signature algorithms (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2). Only asymmetric algorithms are
//! accepted, so that no token can be signed with a value that other parties know. One table maps each name to its
//! implementation in aws-lc-rs.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, VerificationAlgorithm,
};

/// A signature algorithm, by its name in `alg`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Algorithm(pub(crate) &'static str);

/// The numbers of a public key.
#[derive(Debug)]
pub(crate) enum KeyMaterial {
    /// Modulus and exponent, big-endian.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// An uncompressed point.
    P256(Vec<u8>),
    /// An uncompressed point.
    P384(Vec<u8>),
    /// The 32 bytes of the point.
    Ed25519(Vec<u8>),
}

/// The numbers of a key are not a valid key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InvalidKey;

const RSA: [(Algorithm, &RsaParameters); 6] = [
    (Algorithm("RS256"), &RSA_PKCS1_2048_8192_SHA256),
    (Algorithm("RS384"), &RSA_PKCS1_2048_8192_SHA384),
    (Algorithm("RS512"), &RSA_PKCS1_2048_8192_SHA512),
    (Algorithm("PS256"), &RSA_PSS_2048_8192_SHA256),
    (Algorithm("PS384"), &RSA_PSS_2048_8192_SHA384),
    (Algorithm("PS512"), &RSA_PSS_2048_8192_SHA512),
];

const ES256: Algorithm = Algorithm("ES256");
const ES384: Algorithm = Algorithm("ES384");

/// Two names of one algorithm: `Ed25519` (RFC 9864) replaces `EdDSA`, which also means Ed448.
const ED25519_NAMES: [Algorithm; 2] = [Algorithm("EdDSA"), Algorithm("Ed25519")];

/// Every accepted algorithm, in the order in which clients are offered them.
pub(crate) const ACCEPTED: [Algorithm; 10] = [
    ES256,
    ES384,
    ED25519_NAMES[0],
    ED25519_NAMES[1],
    RSA[0].0,
    RSA[1].0,
    RSA[2].0,
    RSA[3].0,
    RSA[4].0,
    RSA[5].0,
];

/// The names of every accepted algorithm, separated by spaces, for the `algs` of a challenge.
pub(crate) fn accepted_names() -> String {
    ACCEPTED.map(|algorithm| algorithm.0).join(" ")
}

impl Algorithm {
    /// The accepted algorithm of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        ACCEPTED.into_iter().find(|known| known.0 == name)
    }

    /// Whether a key that is bound to this name may verify the algorithm.
    pub(crate) fn is_named(self, name: &str) -> bool {
        let names_ed25519 = |name: &str| ED25519_NAMES.iter().any(|known| known.0 == name);
        self.0 == name || (names_ed25519(self.0) && names_ed25519(name))
    }
}

impl KeyMaterial {
    /// Parses the key for each algorithm that the key fits and `wanted` accepts.
    pub(crate) fn parse(
        &self,
        wanted: impl Fn(Algorithm) -> bool,
    ) -> Result<Vec<(Algorithm, ParsedPublicKey)>, InvalidKey> {
        let one = |algorithm, by: &'static dyn VerificationAlgorithm, bytes: &[u8]| {
            if !wanted(algorithm) {
                return Ok(Vec::new());
            }
            let key = ParsedPublicKey::new(by, bytes).map_err(|_| InvalidKey)?;
            Ok(vec![(algorithm, key)])
        };
        match self {
            Self::Rsa { n, e } => {
                let components = RsaPublicKeyComponents { n, e };
                let wanted = RSA.into_iter().filter(|(algorithm, _)| wanted(*algorithm));
                let parsed = wanted.map(|(algorithm, by)| {
                    let key = components.to_parsed_public_key(by).map_err(|_| InvalidKey)?;
                    Ok((algorithm, key))
                });
                parsed.collect()
            }
            Self::P256(point) => one(ES256, &ECDSA_P256_SHA256_FIXED, point),
            Self::P384(point) => one(ES384, &ECDSA_P384_SHA384_FIXED, point),
            Self::Ed25519(point) => {
                let parsed = ED25519_NAMES.map(|name| one(name, &ED25519, point));
                parsed.into_iter().try_fold(Vec::new(), |mut all, parsed| {
                    all.extend(parsed?);
                    Ok(all)
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_asymmetric_algorithms_are_accepted_by_their_exact_name() {
        for name in ["RS256", "PS512", "ES256", "ES384", "EdDSA", "Ed25519"] {
            assert!(Algorithm::named(name).is_some(), "{name}");
        }
        for name in
            ["none", "None", "HS256", "HS512", "rs256", "RS1", "ES256K", "ES512", "Ed448", ""]
        {
            assert!(Algorithm::named(name).is_none(), "{name}");
        }
    }
}
