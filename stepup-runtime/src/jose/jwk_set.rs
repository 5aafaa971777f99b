//! A key set (RFC 7517 §5), read entry by entry: an entry that cannot be used is skipped with a reason, and the
//! other keys still work.

use crate::jose::algorithm::Algorithm;
use crate::jose::jwk::VerifyingKey;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fmt;
use std::sync::Arc;
use stepup_contract::parse_strict;
use thiserror::Error;

/// The most keys of a set that are used; later entries are skipped.
const MAX_KEYS: usize = 100;

/// The most keys with the same id that are tried. Each try costs a signature check, and the client chooses the id.
const MAX_SAME_KID: usize = 4;

/// The keys of one issuer.
#[derive(Default)]
pub(crate) struct JwkSet(Vec<Arc<VerifyingKey>>);

/// Why a whole key set cannot be used.
#[derive(Debug, Error)]
pub(crate) enum JwkSetError {
    #[error("the key set is not UTF-8")]
    NotUtf8(#[from] std::str::Utf8Error),
    #[error("the key set is not a JSON object with an array `keys`")]
    Form(#[from] serde_json::Error),
    #[error("the key set has no key that can verify a token: {0}")]
    NoUsableKey(String),
}

/// The form of the set. Entries are parsed one by one, so that an unusable entry does not affect the others.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

impl JwkSet {
    /// Parses a key set. Fails only if no entry can be used.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, JwkSetError> {
        let text = str::from_utf8(text)?;
        let Document { keys: entries } = serde_json::from_str(text)?;
        let mut keys = Vec::new();
        let mut reasons = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let read = if keys.len() == MAX_KEYS {
                Err(format!("only the first {MAX_KEYS} keys are used"))
            } else {
                parse_strict(entry.get().as_bytes()).map_err(|error| error.to_string()).and_then(
                    |entry| VerifyingKey::read(&entry, |_| true).map_err(|error| error.to_string()),
                )
            };
            match read {
                Ok(key) => keys.push(Arc::new(key)),
                Err(reason) => {
                    tracing::warn!(index, reason, "a key of the issuer's key set is skipped");
                    if reasons.len() < 10 {
                        reasons.push(format!("entry {index}: {reason}"));
                    }
                }
            }
        }
        if keys.is_empty() {
            let reasons =
                if reasons.is_empty() { "it is empty".into() } else { reasons.join("; ") };
            return Err(JwkSetError::NoUsableKey(reasons));
        }
        Ok(Self(keys))
    }

    /// The keys that may have signed a token with this key id and algorithm: one, where ids are unique as RFC 7517
    /// §4.5 expects. A token without an id is accepted only if a single key fits.
    pub(crate) fn candidates(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &Arc<VerifyingKey>> {
        let keys = || self.0.iter().filter(move |key| key.fits(algorithm));
        let most = match kid {
            Some(_) => MAX_SAME_KID,
            None if keys().nth(1).is_some() => 0,
            None => 1,
        };
        keys().filter(move |key| kid.is_none() || key.kid() == kid).take(most)
    }

    /// This set, in which keys that `old` contains too are those of `old`, so that tokens that they verified stay
    /// cached.
    pub(crate) fn reusing_keys_from(self, old: &Self) -> Self {
        let reused =
            |key: Arc<VerifyingKey>| old.0.iter().find(|o| o.is_same(&key)).cloned().unwrap_or(key);
        Self(self.0.into_iter().map(reused).collect())
    }

    /// Whether both contain the identical keys.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|(one, two)| Arc::ptr_eq(one, two))
    }

    /// Retires the keys that `new` does not contain. Called when `new` is already in use.
    pub(crate) fn retire_missing_from(&self, new: &Self) {
        for key in &self.0 {
            if !new.0.iter().any(|kept| Arc::ptr_eq(kept, key)) {
                key.retire();
            }
        }
    }
}

impl fmt::Debug for JwkSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> = self.0.iter().map(|key| format!("{key:?}")).collect();
        f.write_str(&keys.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

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

    fn set(keys: &[Value]) -> JwkSet {
        JwkSet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn an_unusable_entry_does_not_affect_the_others() {
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
            assert!(VerifyingKey::read(entry, |_| true).is_err(), "{entry}");
        }
        let mut keys = odd.to_vec();
        keys.push(ec_key(json!({"kid": "good", "use": "sig", "key_ops": ["verify"]})));
        let set = set(&keys);
        assert_eq!(set.0.len(), 1);
        assert!(set.candidates(Some("good"), ES256).next().is_some());
        assert!(
            set.candidates(Some("good"), Algorithm("RS256")).next().is_none(),
            "the key is bound to its algorithm"
        );
        assert!(set.candidates(Some("other"), ES256).next().is_none());
        assert!(set.candidates(None, ES256).next().is_some(), "only one key fits");
    }

    #[test]
    fn empty_and_null_members_count_as_absent() {
        for members in [
            json!({"d": null, "oth": [], "key_ops": [], "use": null, "alg": null}),
            json!({"d": "", "alg": "", "use": "", "x5c": [], "kid": null}),
        ] {
            assert!(VerifyingKey::read(&ec_key(members.clone()), |_| true).is_ok(), "{members}");
        }
        let private = ec_key(json!({"d": "AAAA", "oth": []}));
        assert!(VerifyingKey::read(&private, |_| true).is_err());
    }

    #[test]
    fn both_names_of_ed25519_are_accepted_for_one_key() {
        let key = |alg: Value| {
            json!({
                "kty": "OKP", "crv": "Ed25519", "alg": alg, "kid": "k",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            })
        };
        for bound_to in [json!("EdDSA"), json!("Ed25519"), json!(null)] {
            let set = set(&[key(bound_to.clone())]);
            for name in ["EdDSA", "Ed25519"] {
                let found = set.candidates(Some("k"), Algorithm::named(name).unwrap()).next();
                assert!(found.is_some(), "{bound_to} {name}");
            }
        }
    }

    #[test]
    fn an_unsupported_algorithm_or_curve_is_named_as_the_reason() {
        let reason = |key: Value| VerifyingKey::read(&key, |_| true).unwrap_err().to_string();
        assert_eq!(reason(ec_key(json!({"alg": "ES256K"}))), "its `alg` is not supported");
        assert!(reason(ec_key(json!({"crv": "P-521"}))).contains("its curve is not supported"));
        let ed448 = json!({"kty": "OKP", "crv": "Ed448", "x": "AAAA"});
        assert!(reason(ed448).contains("its curve is not supported"));
    }

    #[test]
    fn a_key_that_can_be_factored_is_rejected() {
        // The product of the primes, shifted to 2048 bits, plus one: 1 modulo every prime, and 1 is a power of 65537.
        let roca = {
            const PRIMES: [u32; 17] =
                [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
            let mut product = vec![1_u8];
            for prime in PRIMES {
                let mut carry = 0_u32;
                for byte in product.iter_mut().rev() {
                    let value = u32::from(*byte) * prime + carry;
                    *byte = (value & 255) as u8;
                    carry = value >> 8;
                }
                while carry > 0 {
                    product.insert(0, (carry & 255) as u8);
                    carry >>= 8;
                }
            }
            let mut modulus = product;
            modulus.resize(256, 0);
            modulus[255] += 1;
            modulus
        };
        let key = json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(&roca), "e": "AQAB"});
        let error = VerifyingKey::read(&key, |_| true).unwrap_err().to_string();
        assert!(error.contains("ROCA"), "{error}");
    }

    #[test]
    fn a_duplicate_member_makes_only_its_own_entry_unusable() {
        let twice = ec_key(json!({})).to_string().replacen('{', "{\"kid\":\"evil\",", 1);
        let text = format!("{{\"keys\":[{twice},{}]}}", ec_key(json!({"kid": "good"})));
        let set = JwkSet::parse(text.as_bytes()).unwrap();
        assert_eq!(set.0.len(), 1);
        assert!(set.candidates(Some("good"), ES256).next().is_some());
    }

    #[test]
    fn a_token_without_kid_matches_no_key_if_two_keys_fit() {
        assert!(
            set(&[ec_key(json!({})), ec_key(json!({"kid": "l"}))])
                .candidates(None, ES256)
                .next()
                .is_none()
        );
    }

    #[test]
    fn a_set_without_a_usable_key_is_an_error_with_the_reasons() {
        let error = JwkSet::parse(br#"{"keys":[{"kty":"oct","k":"AA"}]}"#).unwrap_err();
        assert!(error.to_string().contains("entry 0: a shared secret"), "{error}");
        for text in ["{}", "<html>", "{\"keys\":{}}", "{\"keys\":[],\"keys\":[]}", "[]"] {
            assert!(JwkSet::parse(text.as_bytes()).is_err(), "{text}");
        }
        let empty = JwkSet::parse(br#"{"keys":[]}"#).unwrap_err();
        assert!(empty.to_string().contains("it is empty"), "{empty}");
    }

    #[test]
    fn a_key_that_the_new_set_has_no_more_is_retired_and_one_that_it_has_stays() {
        let old = set(&[ec_key(json!({"kid": "kept"})), ec_key(json!({"kid": "removed"}))]);
        let kept = Arc::clone(old.candidates(Some("kept"), ES256).next().unwrap());
        let removed = Arc::clone(old.candidates(Some("removed"), ES256).next().unwrap());
        let new = set(&[ec_key(json!({"kid": "new"})), ec_key(json!({"kid": "kept"}))]);
        let new = new.reusing_keys_from(&old);
        old.retire_missing_from(&new);
        assert!(Arc::ptr_eq(new.candidates(Some("kept"), ES256).next().unwrap(), &kept));
        assert!(!kept.is_retired() && removed.is_retired());
        assert!(!new.candidates(Some("new"), ES256).next().unwrap().is_retired());
    }
}
