//! A key set (RFC 7517), read entry by entry: an entry that cannot be used is passed over with a
//! reason, and the rest still serves. Each key is bound to the algorithms that it may verify.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};
use std::fmt;
use stepup_contract::parse_strict;
use thiserror::Error;

/// Most entries of a set that are looked at.
const MAX_KEYS: usize = 100;

/// One key that can verify a token's signature.
pub(crate) struct Key {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    pub(crate) verifier: DecodingKey,
}

/// The keys of one issuer.
#[derive(Default)]
pub(crate) struct KeySet(Vec<Key>);

/// Why an entry or a whole set cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum KeySetError {
    #[error("the key set is not JSON: {0}")]
    Json(#[from] stepup_contract::StrictJsonError),
    #[error("the key set has no array `keys`")]
    NoKeys,
    #[error("the key set holds no key that can verify a token: {0}")]
    NoneUsable(String),
}

impl KeySet {
    /// Reads a set. Fails only when not a single entry can be used.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        let value = parse_strict(text)?;
        let Some(entries) = value.get("keys").and_then(Value::as_array) else {
            return Err(KeySetError::NoKeys);
        };
        let mut keys = Vec::new();
        let mut reasons = Vec::new();
        for (index, entry) in entries.iter().take(MAX_KEYS).enumerate() {
            match key(entry) {
                Ok(key) => keys.push(key),
                Err(why) => {
                    tracing::warn!(index, why, "a key of the issuer's set is passed over");
                    reasons.push(format!("entry {index}: {why}"));
                }
            }
        }
        if keys.is_empty() {
            return Err(KeySetError::NoneUsable(reasons.join("; ")));
        }
        Ok(Self(keys))
    }

    /// The key of this id that may verify this algorithm. A token without an id is accepted where
    /// only one key can be meant.
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        let fits = |key: &&Key| key.algorithms.contains(&algorithm);
        let mut keys = self.0.iter().filter(fits);
        match kid {
            Some(kid) => keys.find(|key| key.kid.as_deref() == Some(kid)),
            None => keys.next().filter(|_| keys.next().is_none()),
        }
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| (&key.kid, &key.algorithms))).finish()
    }
}

fn key(entry: &Value) -> Result<Key, &'static str> {
    let Value::Object(jwk) = entry else { return Err("not an object") };
    let text = |name: &str| jwk.get(name).map(|value| value.as_str().ok_or("a field is not text"));
    if text("use").transpose()?.is_some_and(|usage| usage != "sig") {
        return Err("`use` is not \"sig\"");
    }
    if let Some(operations) = jwk.get("key_ops") {
        let operations = operations.as_array().ok_or("`key_ops` is not an array")?;
        if !operations.iter().any(|operation| operation == "verify") {
            return Err("`key_ops` does not hold \"verify\"");
        }
    }
    if jwk.contains_key("d") {
        return Err("it is a private key and should never have been published");
    }
    let (mut algorithms, verifier) = match text("kty").transpose()?.ok_or("no `kty`")? {
        "RSA" => rsa(jwk)?,
        "EC" => ec(jwk)?,
        "OKP" => okp(jwk)?,
        "oct" => return Err("a shared secret verifies nothing here"),
        _ => return Err("a key type that is not known"),
    };
    if let Some(algorithm) = text("alg").transpose()? {
        algorithms.retain(|known| name(*known) == algorithm);
        if algorithms.is_empty() {
            return Err("`alg` does not fit the key's type and curve");
        }
    }
    let kid = text("kid").transpose()?.map(str::to_owned);
    Ok(Key { kid, algorithms, verifier })
}

fn rsa(jwk: &Map<String, Value>) -> Result<(Vec<Algorithm>, DecodingKey), &'static str> {
    let (n, e) = (bytes(jwk, "n")?, bytes(jwk, "e")?);
    let bits = n.iter().skip_while(|byte| **byte == 0).count() * 8;
    if !(2048..=8192).contains(&bits) {
        return Err("an RSA key has 2048 to 8192 bits");
    }
    if e.len() > 8 || e.iter().all(|byte| *byte == 0) {
        return Err("the RSA exponent is out of range");
    }
    let algorithms = vec![
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
    ];
    Ok((algorithms, DecodingKey::from_rsa_raw_components(&n, &e)))
}

fn ec(jwk: &Map<String, Value>) -> Result<(Vec<Algorithm>, DecodingKey), &'static str> {
    let (algorithm, size) = match jwk.get("crv").and_then(Value::as_str) {
        Some("P-256") => (Algorithm::ES256, 32),
        Some("P-384") => (Algorithm::ES384, 48),
        _ => return Err("a curve that is not known"),
    };
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    if x.len() != size || y.len() != size {
        return Err("the coordinates do not fit the curve");
    }
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    Ok((vec![algorithm], DecodingKey::from_ec_der(&point)))
}

fn okp(jwk: &Map<String, Value>) -> Result<(Vec<Algorithm>, DecodingKey), &'static str> {
    if jwk.get("crv").and_then(Value::as_str) != Some("Ed25519") {
        return Err("a curve that is not known");
    }
    let x = bytes(jwk, "x")?;
    if x.len() != 32 {
        return Err("the key does not fit the curve");
    }
    Ok((vec![Algorithm::EdDSA], DecodingKey::from_ed_der(&x)))
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, &'static str> {
    let text = jwk.get(name).and_then(Value::as_str).ok_or("a key parameter is missing")?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| "a key parameter is not base64url")
}

/// The algorithms that a token may be signed with: signatures by a private key, no shared secrets.
const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// The algorithm of this name, if a token may be signed with it.
pub(crate) fn algorithm(name: &str) -> Option<Algorithm> {
    ALGORITHMS.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
}

fn name(algorithm: Algorithm) -> &'static str {
    ALGORITHMS.iter().find(|(_, known)| *known == algorithm).map_or("", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ec_key(extra: Value) -> Value {
        let mut key = json!({
            "kty": "EC", "crv": "P-256", "kid": "k",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        });
        if let (Value::Object(key), Value::Object(extra)) = (&mut key, extra) {
            key.extend(extra);
        }
        key
    }

    #[test]
    fn one_odd_entry_does_not_spoil_the_set() {
        let odd = [
            json!(null),
            json!({}),
            json!({"kty": "oct", "k": "AAAA"}),
            json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
            json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}),
            ec_key(json!({"use": "enc"})),
            ec_key(json!({"key_ops": ["sign"]})),
            ec_key(json!({"alg": "ES384"})),
            ec_key(json!({"alg": "HS256"})),
            ec_key(json!({"x": "AAAA"})),
            ec_key(json!({"x": "not base64url!"})),
            ec_key(json!({"d": "AAAA"})),
            ec_key(json!({"kid": 7})),
        ];
        for entry in &odd {
            assert!(key(entry).is_err(), "{entry}");
        }
        let mut keys = odd.to_vec();
        keys.push(ec_key(json!({"kid": "good", "use": "sig", "key_ops": ["verify"]})));
        let set = KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap();
        assert_eq!(set.0.len(), 1);
        assert!(set.find(Some("good"), Algorithm::ES256).is_some());
        assert!(set.find(Some("good"), Algorithm::RS256).is_none(), "the algorithm is the key's");
        assert!(set.find(Some("other"), Algorithm::ES256).is_none());
        assert!(set.find(None, Algorithm::ES256).is_some(), "only one key can be meant");
    }

    #[test]
    fn a_token_without_kid_is_refused_where_two_keys_could_be_meant() {
        let keys = json!({"keys": [ec_key(json!({})), ec_key(json!({"kid": "l"}))]});
        let set = KeySet::parse(keys.to_string().as_bytes()).unwrap();
        assert!(set.find(None, Algorithm::ES256).is_none());
    }

    #[test]
    fn a_set_without_a_usable_key_is_an_error_that_says_why() {
        let error = KeySet::parse(br#"{"keys":[{"kty":"oct","k":"AA"}]}"#).unwrap_err();
        assert!(error.to_string().contains("entry 0: a shared secret"), "{error}");
        assert_eq!(KeySet::parse(b"{}").unwrap_err(), KeySetError::NoKeys);
        assert!(KeySet::parse(b"<html>").is_err());
    }
}
