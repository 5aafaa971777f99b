//! A public key in JSON (RFC 7517), bound to the algorithms that it may verify.

use crate::jose::algorithm::{Algorithm, InvalidKey, KeyMaterial};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::ParsedPublicKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use thiserror::Error;

/// The members of a JWK that only a private key has (RFC 7518 §6).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A public key that verifies signatures.
pub(crate) struct VerifyingKey {
    kid: Option<String>,
    verifiers: Vec<(Algorithm, ParsedPublicKey)>,
    /// Whether the issuer has removed the key from its set. Tokens that it verified are then verified again.
    retired: AtomicBool,
}

/// Why an entry of a key set cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum JwkError {
    #[error("not an object")]
    NotAnObject,
    #[error("a member is not text")]
    MemberNotText,
    #[error("`use` is not \"sig\"")]
    Use,
    #[error("`key_ops` is not an array")]
    KeyOpsNotAnArray,
    #[error("`key_ops` does not contain \"verify\"")]
    KeyOps,
    #[error("no `kty`")]
    NoType,
    #[error("a shared secret cannot verify tokens here")]
    SharedSecret,
    #[error("a private key, which the issuer should never publish")]
    PrivateKey,
    #[error("an unknown key type")]
    UnknownType,
    #[error("its `alg` is not supported")]
    UnsupportedAlgorithm,
    #[error("`alg` does not fit the key's type and curve")]
    Algorithm,
    #[error("an RSA key must have 2048 to 8192 bits")]
    RsaSize,
    #[error("the RSA exponent is out of range")]
    RsaExponent,
    #[error("its curve is not supported; the supported curves are P-256, P-384 and Ed25519")]
    UnknownCurve,
    #[error("an RSA key whose private key can be computed from it (ROCA, CVE-2017-15361)")]
    Roca,
    #[error("the coordinates do not fit the curve")]
    Coordinates,
    #[error("a number of the key is missing")]
    MissingNumber,
    #[error("a number of the key is not base64url")]
    NotBase64,
    #[error("the numbers are not a valid key")]
    InvalidNumbers,
}

impl From<InvalidKey> for JwkError {
    fn from(InvalidKey: InvalidKey) -> Self {
        Self::InvalidNumbers
    }
}

impl VerifyingKey {
    /// Reads a public JWK, for those of its algorithms that `wanted` accepts.
    pub(crate) fn read(
        entry: &Value,
        wanted: impl Fn(Algorithm) -> bool,
    ) -> Result<Self, JwkError> {
        let Value::Object(jwk) = entry else { return Err(JwkError::NotAnObject) };
        let text = |name: &str| {
            member(jwk, name).map(|value| value.as_str().ok_or(JwkError::MemberNotText)).transpose()
        };
        if text("use")?.is_some_and(|usage| usage != "sig") {
            return Err(JwkError::Use);
        }
        if let Some(operations) = member(jwk, "key_ops") {
            let operations = operations.as_array().ok_or(JwkError::KeyOpsNotAnArray)?;
            if !operations.iter().any(|operation| operation == "verify") {
                return Err(JwkError::KeyOps);
            }
        }
        let material = match text("kty")?.ok_or(JwkError::NoType)? {
            "oct" => return Err(JwkError::SharedSecret),
            _ if PRIVATE_MEMBERS.iter().any(|name| member(jwk, name).is_some()) => {
                return Err(JwkError::PrivateKey);
            }
            "RSA" => rsa(jwk)?,
            "EC" => ec(jwk)?,
            "OKP" => okp(jwk)?,
            _ => return Err(JwkError::UnknownType),
        };
        let bound_to = text("alg")?;
        if bound_to.is_some_and(|name| Algorithm::named(name).is_none()) {
            return Err(JwkError::UnsupportedAlgorithm);
        }
        let verifiers = material.parse(|algorithm| {
            bound_to.is_none_or(|name| algorithm.is_named(name)) && wanted(algorithm)
        })?;
        if verifiers.is_empty() {
            return Err(JwkError::Algorithm);
        }
        let kid = text("kid")?.map(str::to_owned);
        Ok(Self { kid, verifiers, retired: AtomicBool::new(false) })
    }

    /// The key's id.
    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether this key may verify this algorithm.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        self.verifier(algorithm).is_some()
    }

    fn verifier(&self, algorithm: Algorithm) -> Option<&ParsedPublicKey> {
        self.verifiers.iter().find(|(known, _)| *known == algorithm).map(|(_, key)| key)
    }

    /// Whether this key has made this signature, with an algorithm that the key may verify.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        self.verifier(algorithm).is_some_and(|key| key.verify_sig(message, signature).is_ok())
    }

    /// Whether the issuer has removed the key from its set.
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Marks the key as removed.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// Whether both have the same id, algorithms and numbers.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let bytes = |key: &Self| -> Vec<(Algorithm, Vec<u8>)> {
            key.verifiers.iter().map(|(known, key)| (*known, key.as_ref().to_vec())).collect()
        };
        self.kid == other.kid && bytes(self) == bytes(other)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithms: Vec<&str> = self.verifiers.iter().map(|(known, _)| known.0).collect();
        let kid = self.kid.as_deref().unwrap_or("a key without an id");
        write!(f, "{} ({})", kid.escape_debug(), algorithms.join(", "))
    }
}

/// The SHA-256 thumbprint of a public key (RFC 7638).
pub(crate) fn thumbprint(jwk: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    // serde_json writes members in alphabetical order, as RFC 7638 §3 requires.
    let members = match text("kty")? {
        "EC" => json!({"crv": text("crv")?, "kty": "EC", "x": text("x")?, "y": text("y")?}),
        "OKP" => json!({"crv": text("crv")?, "kty": "OKP", "x": text("x")?}),
        "RSA" => json!({"e": text("e")?, "kty": "RSA", "n": text("n")?}),
        _ => return None,
    };
    Some(URL_SAFE_NO_PAD.encode(digest(&SHA256, members.to_string().as_bytes())))
}

fn rsa(jwk: &Map<String, Value>) -> Result<KeyMaterial, JwkError> {
    let (n, e) = (number(jwk, "n")?, number(jwk, "e")?);
    let bits = n.len() * 8;
    if !(2048..=8192).contains(&bits) {
        return Err(JwkError::RsaSize);
    }
    if e.is_empty() || e.len() > 8 {
        return Err(JwkError::RsaExponent);
    }
    if is_roca(&n) {
        return Err(JwkError::Roca);
    }
    Ok(KeyMaterial::Rsa { n, e })
}

/// Whether a modulus was generated by the library of CVE-2017-15361, whose primes are powers of 65537 modulo many small
/// primes. Another modulus has this property with a probability of 2^-27.
fn is_roca(modulus: &[u8]) -> bool {
    const PRIMES: [u32; 17] =
        [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
    PRIMES.into_iter().all(|prime| {
        let remainder =
            modulus.iter().fold(0, |remainder, byte| (remainder * 256 + u32::from(*byte)) % prime);
        let powers = std::iter::successors(Some(1), |power| Some(power * 65537 % prime));
        powers.take(usize::try_from(prime).unwrap_or_default()).any(|power| power == remainder)
    })
}

/// A member that is present. Some issuers write absent members as null or with nothing in them.
fn member<'a>(jwk: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    jwk.get(name).filter(|value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    })
}

fn ec(jwk: &Map<String, Value>) -> Result<KeyMaterial, JwkError> {
    let curve = jwk.get("crv").and_then(Value::as_str);
    let size = match curve {
        Some("P-256") => 32,
        Some("P-384") => 48,
        _ => return Err(JwkError::UnknownCurve),
    };
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    if x.len() != size || y.len() != size {
        return Err(JwkError::Coordinates);
    }
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    Ok(if size == 32 { KeyMaterial::P256(point) } else { KeyMaterial::P384(point) })
}

fn okp(jwk: &Map<String, Value>) -> Result<KeyMaterial, JwkError> {
    if jwk.get("crv").and_then(Value::as_str) != Some("Ed25519") {
        return Err(JwkError::UnknownCurve);
    }
    let x = bytes(jwk, "x")?;
    if x.len() != 32 {
        return Err(JwkError::Coordinates);
    }
    Ok(KeyMaterial::Ed25519(x))
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, JwkError> {
    let text = jwk.get(name).and_then(Value::as_str).ok_or(JwkError::MissingNumber)?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| JwkError::NotBase64)
}

/// A big-endian number without the leading zeros that some issuers add.
fn number(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, JwkError> {
    Ok(bytes(jwk, name)?.into_iter().skip_while(|byte| *byte == 0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_of_rfc_7638_section_3_1() {
        let jwk = json!({
            "kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6\
                  tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5\
                  v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD0\
                  8qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU\
                  8awapJzKnqDKgw",
        });
        let thumbprint = thumbprint(jwk.as_object().unwrap());
        assert_eq!(thumbprint.as_deref(), Some("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"));
    }
}
