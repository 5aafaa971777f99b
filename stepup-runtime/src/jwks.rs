//! A key set (RFC 7517), read entry by entry: an entry that cannot be used is passed over with a
//! reason, and the rest still serves. Each key is bound to the algorithms that it may verify.

use crate::algorithm::{Algorithm, Material};
use aws_lc_rs::signature::ParsedPublicKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use stepup_contract::parse_strict;
use thiserror::Error;

/// Most entries of a set that are used; those behind are passed over.
const MAX_KEYS: usize = 100;

/// The members of a JWK that only a private key has (RFC 7518 §6).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// One key that can verify signatures.
pub(crate) struct Key {
    kid: Option<String>,
    verifiers: Vec<(Algorithm, ParsedPublicKey)>,
    /// Whether the issuer has withdrawn it. What was verified with it is not trusted any more.
    withdrawn: AtomicBool,
}

/// The keys of one issuer.
#[derive(Default)]
pub(crate) struct KeySet(Vec<Arc<Key>>);

/// Why a whole set cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum KeySetError {
    #[error("the key set is no JSON object with an array `keys`: {0}")]
    Form(String),
    #[error("the key set holds no key that can verify a token: {0}")]
    NoneUsable(String),
}

/// The set's own form. Its entries are parsed one by one, so that an odd one is alone in being odd.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// How many keys of one id are tried. Each costs the check of a signature, and a client chooses the id.
const MOST_OF_ONE_ID: usize = 4;

impl KeySet {
    /// Reads a set. Fails only when not a single entry can be used.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        // What is passed over must be text as well.
        let text = str::from_utf8(text).map_err(|why| KeySetError::Form(why.to_string()))?;
        let Document { keys: entries } =
            serde_json::from_str(text).map_err(|why| KeySetError::Form(why.to_string()))?;
        let mut keys = Vec::new();
        let mut reasons = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let read = if keys.len() == MAX_KEYS {
                Err("the set has more keys than are used".to_owned())
            } else {
                parse_strict(entry.get().as_bytes())
                    .map_err(|why| why.to_string())
                    .and_then(|entry| Key::read(&entry, |_| true).map_err(str::to_owned))
            };
            match read {
                Ok(key) => keys.push(Arc::new(key)),
                Err(why) => {
                    tracing::warn!(index, why, "a key of the issuer's set is passed over");
                    if reasons.len() < 10 {
                        reasons.push(format!("entry {index}: {why}"));
                    }
                }
            }
        }
        if keys.is_empty() {
            let none = || "it is empty".to_owned();
            let why = if reasons.is_empty() { none() } else { reasons.join("; ") };
            return Err(KeySetError::NoneUsable(why));
        }
        Ok(Self(keys))
    }

    /// The keys of this id that may verify this algorithm: one, where ids are what they should be (RFC 7517 §4.5).
    /// A token without an id is accepted where only one key can be meant.
    pub(crate) fn meant(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &Arc<Key>> {
        let keys = || self.0.iter().filter(move |key| key.verifier(algorithm).is_some());
        let most = match kid {
            Some(_) => MOST_OF_ONE_ID,
            None if keys().nth(1).is_some() => 0,
            None => 1,
        };
        keys().filter(move |key| kid.is_none() || key.kid.as_deref() == kid).take(most)
    }

    /// This set, with the keys that `old` has as well taken from there: what was verified with them
    /// stays verified.
    pub(crate) fn continuing(self, old: &Self) -> Self {
        let known = |key: Arc<Key>| old.0.iter().find(|o| o.is_same(&key)).cloned().unwrap_or(key);
        Self(self.0.into_iter().map(known).collect())
    }

    /// Whether both hold the very same keys.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|(one, two)| Arc::ptr_eq(one, two))
    }

    /// Withdraws the keys that `new` does not hold any more. Called when `new` is already in use.
    pub(crate) fn withdraw_for(&self, new: &Self) {
        for key in &self.0 {
            if !new.0.iter().any(|kept| Arc::ptr_eq(kept, key)) {
                key.withdrawn.store(true, Ordering::Release);
            }
        }
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> = self.0.iter().map(|key| format!("{key:?}")).collect();
        f.write_str(&keys.join(", "))
    }
}

impl Key {
    /// Reads a public JWK, for those of its algorithms that are wanted.
    pub(crate) fn read(
        entry: &Value,
        wanted: impl Fn(Algorithm) -> bool,
    ) -> Result<Self, &'static str> {
        let Value::Object(jwk) = entry else { return Err("not an object") };
        let text =
            |name: &str| jwk.get(name).map(|value| value.as_str().ok_or("a field is not text"));
        if text("use").transpose()?.is_some_and(|usage| usage != "sig") {
            return Err("`use` is not \"sig\"");
        }
        if let Some(operations) = jwk.get("key_ops") {
            let operations = operations.as_array().ok_or("`key_ops` is not an array")?;
            if !operations.iter().any(|operation| operation == "verify") {
                return Err("`key_ops` does not hold \"verify\"");
            }
        }
        let material = match text("kty").transpose()?.ok_or("no `kty`")? {
            "oct" => return Err("a shared secret verifies nothing here"),
            _ if PRIVATE.iter().any(|name| jwk.contains_key(*name)) => {
                return Err("it is a private key and should never have been shown");
            }
            "RSA" => rsa(jwk)?,
            "EC" => ec(jwk)?,
            "OKP" => okp(jwk)?,
            _ => return Err("a key type that is not known"),
        };
        let bound_to = text("alg").transpose()?;
        let verifiers = material.parse(|algorithm| {
            bound_to.is_none_or(|name| name == algorithm.0) && wanted(algorithm)
        })?;
        if verifiers.is_empty() {
            return Err("`alg` does not fit the key's type and curve");
        }
        let kid = text("kid").transpose()?.map(str::to_owned);
        Ok(Self { kid, verifiers, withdrawn: AtomicBool::new(false) })
    }

    fn verifier(&self, algorithm: Algorithm) -> Option<&ParsedPublicKey> {
        self.verifiers.iter().find(|(known, _)| *known == algorithm).map(|(_, key)| key)
    }

    /// Whether this key has made this signature, with an algorithm that it may be used with.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        self.verifier(algorithm).is_some_and(|key| key.verify_sig(message, signature).is_ok())
    }

    /// Whether the issuer has withdrawn it.
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.withdrawn.load(Ordering::Acquire)
    }

    fn is_same(&self, other: &Self) -> bool {
        let bytes = |key: &Self| -> Vec<(Algorithm, Vec<u8>)> {
            key.verifiers.iter().map(|(known, key)| (*known, key.as_ref().to_vec())).collect()
        };
        self.kid == other.kid && bytes(self) == bytes(other)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithms: Vec<&str> = self.verifiers.iter().map(|(known, _)| known.0).collect();
        let kid = self.kid.as_deref().unwrap_or("a key without an id");
        write!(f, "{} ({})", kid.escape_debug(), algorithms.join(", "))
    }
}

fn rsa(jwk: &Map<String, Value>) -> Result<Material, &'static str> {
    let (n, e) = (number(jwk, "n")?, number(jwk, "e")?);
    let bits = n.len() * 8;
    if !(2048..=8192).contains(&bits) {
        return Err("an RSA key has 2048 to 8192 bits");
    }
    if e.is_empty() || e.len() > 8 {
        return Err("the RSA exponent is out of range");
    }
    Ok(Material::Rsa { n, e })
}

fn ec(jwk: &Map<String, Value>) -> Result<Material, &'static str> {
    let curve = jwk.get("crv").and_then(Value::as_str);
    let size = match curve {
        Some("P-256") => 32,
        Some("P-384") => 48,
        _ => return Err("a curve that is not known"),
    };
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    if x.len() != size || y.len() != size {
        return Err("the coordinates do not fit the curve");
    }
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    Ok(if size == 32 { Material::P256(point) } else { Material::P384(point) })
}

fn okp(jwk: &Map<String, Value>) -> Result<Material, &'static str> {
    if jwk.get("crv").and_then(Value::as_str) != Some("Ed25519") {
        return Err("a curve that is not known");
    }
    let x = bytes(jwk, "x")?;
    if x.len() != 32 {
        return Err("the key does not fit the curve");
    }
    Ok(Material::Ed25519(x))
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, &'static str> {
    let text = jwk.get(name).and_then(Value::as_str).ok_or("a number of the key is missing")?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| "a number of the key is not base64url")
}

/// A big-endian number without leading zeros, which some issuers put there.
fn number(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, &'static str> {
    Ok(bytes(jwk, name)?.into_iter().skip_while(|byte| *byte == 0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ES256: Algorithm = Algorithm("ES256");

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

    fn set(keys: &[Value]) -> KeySet {
        KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn one_odd_entry_does_not_spoil_the_set() {
        let odd = [
            json!(null),
            json!({}),
            json!({"kty": "oct", "k": "AAAA"}),
            json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
            json!({"kty": "RSA", "n": "A".repeat(400), "e": "AQAB"}),
            json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}),
            ec_key(json!({"use": "enc"})),
            ec_key(json!({"key_ops": ["sign"]})),
            ec_key(json!({"alg": "ES384"})),
            ec_key(json!({"alg": "HS256"})),
            ec_key(json!({"x": "AAAA"})),
            ec_key(json!({"x": "not base64url!"})),
            ec_key(json!({"y": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"})),
            ec_key(json!({"d": "AAAA"})),
            ec_key(json!({"kid": 7})),
        ];
        for entry in &odd {
            assert!(Key::read(entry, |_| true).is_err(), "{entry}");
        }
        let mut keys = odd.to_vec();
        keys.push(ec_key(json!({"kid": "good", "use": "sig", "key_ops": ["verify"]})));
        let set = set(&keys);
        assert_eq!(set.0.len(), 1);
        assert!(set.meant(Some("good"), ES256).next().is_some());
        assert!(
            set.meant(Some("good"), Algorithm("RS256")).next().is_none(),
            "the algorithm is the key's"
        );
        assert!(set.meant(Some("other"), ES256).next().is_none());
        assert!(set.meant(None, ES256).next().is_some(), "only one key can be meant");
    }

    #[test]
    fn a_member_that_stands_twice_spoils_its_own_entry_only() {
        let twice = ec_key(json!({})).to_string().replacen('{', "{\"kid\":\"evil\",", 1);
        let text = format!("{{\"keys\":[{twice},{}]}}", ec_key(json!({"kid": "good"})));
        let set = KeySet::parse(text.as_bytes()).unwrap();
        assert_eq!(set.0.len(), 1);
        assert!(set.meant(Some("good"), ES256).next().is_some());
    }

    #[test]
    fn a_token_without_kid_is_refused_where_two_keys_could_be_meant() {
        assert!(
            set(&[ec_key(json!({})), ec_key(json!({"kid": "l"}))])
                .meant(None, ES256)
                .next()
                .is_none()
        );
    }

    #[test]
    fn a_set_without_a_usable_key_is_an_error_that_says_why() {
        let error = KeySet::parse(br#"{"keys":[{"kty":"oct","k":"AA"}]}"#).unwrap_err();
        assert!(error.to_string().contains("entry 0: a shared secret"), "{error}");
        for text in ["{}", "<html>", "{\"keys\":{}}", "{\"keys\":[],\"keys\":[]}", "[]"] {
            assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
        }
        let empty = KeySet::parse(br#"{"keys":[]}"#).unwrap_err();
        assert!(empty.to_string().contains("it is empty"), "{empty}");
    }

    #[test]
    fn a_key_that_the_new_set_has_no_more_is_withdrawn_and_one_that_it_has_stays() {
        let old = set(&[ec_key(json!({"kid": "stays"})), ec_key(json!({"kid": "goes"}))]);
        let stays = Arc::clone(old.meant(Some("stays"), ES256).next().unwrap());
        let goes = Arc::clone(old.meant(Some("goes"), ES256).next().unwrap());
        let new = set(&[ec_key(json!({"kid": "new"})), ec_key(json!({"kid": "stays"}))]);
        let new = new.continuing(&old);
        old.withdraw_for(&new);
        assert!(Arc::ptr_eq(new.meant(Some("stays"), ES256).next().unwrap(), &stays));
        assert!(!stays.is_withdrawn() && goes.is_withdrawn());
        assert!(!new.meant(Some("new"), ES256).next().unwrap().is_withdrawn());
    }
}
