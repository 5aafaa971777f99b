//! DPoP proofs (RFC 9449 §4.3 and §7): a token that is bound to a key is accepted only with a proof, made for exactly
//! this request, that the caller has the key.

use crate::dpop::nonce::Nonces;
use crate::dpop::options::Dpop;
use crate::dpop::replay::{ReplayCache, ReplayCheck};
use crate::jose::algorithm::Algorithm;
use crate::jose::jwk::{JwkError, VerifyingKey, thumbprint};
use crate::jose::jws::{Jws, JwsError};
use crate::refusal::{Cause, ProofError};
use crate::request::head::RequestHead;
use crate::support::digest::sha256;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderName;
use reqwest::Url;
use serde_json::{Map, Value};
use stepup_contract::numeric_date;

/// The name of the header with the proof.
pub(crate) const PROOF: HeaderName = HeaderName::from_static("dpop");

/// How far a proof may be ahead of this API's clock, in seconds.
const MAX_AHEAD: u64 = 30;

/// The longest accepted proof and the longest `jti`, in bytes.
const MAX_PROOF: usize = 8 * 1024;
const MAX_JTI: usize = 256;

/// Verifies proofs for one API.
pub(crate) struct ProofVerifier {
    /// The API's address, without a final slash.
    resource: String,
    max_age: u64,
    nonces: Option<Nonces>,
    replays: ReplayCache,
}

/// The key that a token is bound to, and its caller.
pub(crate) struct Binding<'a> {
    pub(crate) token: &'a [u8],
    pub(crate) thumbprint: &'a str,
    pub(crate) caller: &'a str,
}

impl ProofVerifier {
    pub(crate) fn new(resource: &str, options: &Dpop) -> Self {
        let max_age = u64::from(options.max_age);
        Self {
            resource: resource.trim_end_matches('/').to_owned(),
            max_age,
            nonces: options.nonce_key.as_ref().map(Nonces::new),
            replays: ReplayCache::new(max_age + MAX_AHEAD + 1, options.capacity),
        }
    }

    /// Verifies the proof of a request for a token with this binding.
    pub(crate) fn verify(
        &self,
        head: &RequestHead<'_>,
        binding: &Binding<'_>,
        now: u64,
    ) -> Result<(), Cause> {
        let proof = parse(head)?;
        let jwk = proof.jwk.as_ref().ok_or(ProofError::NoKey)?;
        if thumbprint(jwk).as_deref() != Some(binding.thumbprint) {
            return Err(ProofError::OtherKey.into());
        }
        if !proof.is_signed_by(&public_key(jwk, proof.algorithm)?) {
            return Err(ProofError::WrongSignature.into());
        }
        let claim = |name: &str| proof.claims.get(name).and_then(Value::as_str);
        if claim("htm") != Some(head.method().as_str()) {
            return Err(ProofError::Method.into());
        }
        // Routing uses the path as written, so a path with dot segments, which normalization removes, has no valid proof.
        let address = normalized(&format!("{}{}", self.resource, head.path()));
        let address =
            address.filter(|url| url.as_str().ends_with(&normalized_escapes(head.path())));
        if address.is_none() || claim("htu").and_then(normalized) != address {
            return Err(ProofError::Address.into());
        }
        let hash = URL_SAFE_NO_PAD.encode(sha256(binding.token));
        if claim("ath") != Some(&hash) {
            return Err(ProofError::OtherToken.into());
        }
        if let Some(nonces) = &self.nonces
            && !claim("nonce").is_some_and(|nonce| nonces.accepts(nonce, now))
        {
            return Err(Cause::UseDpopNonce(nonces.current(now)));
        }
        let issued = proof.claims.get("iat").and_then(numeric_date);
        if !issued.is_some_and(|issued| {
            issued <= now.saturating_add(MAX_AHEAD) && now.saturating_sub(issued) <= self.max_age
        }) {
            return Err(ProofError::NotRecent.into());
        }
        let jti = claim("jti").filter(|jti| !jti.is_empty() && jti.len() <= MAX_JTI);
        let jti = jti.ok_or(ProofError::Identifier)?;
        let proof = sha256(format!("{} {jti}", binding.thumbprint).as_bytes());
        match self.replays.insert(proof, sha256(binding.caller.as_bytes()), now) {
            ReplayCheck::New => Ok(()),
            ReplayCheck::Replayed => Err(ProofError::Replayed.into()),
            ReplayCheck::Full => {
                tracing::error!(
                    jkt = binding.thumbprint,
                    "a DPoP proof is refused because the replay cache is full, or this caller's share of it; raise \
                     Dpop::remembered_proofs"
                );
                Err(Cause::Unavailable { retry_after: 5 })
            }
        }
    }
}

/// The one proof of a request, not verified yet.
fn parse<'a>(head: &RequestHead<'a>) -> Result<Jws<'a>, ProofError> {
    let mut values = head.headers().get_all(PROOF).iter();
    let value = values.next().ok_or(ProofError::Missing)?;
    if values.next().is_some() {
        return Err(ProofError::Repeated);
    }
    let text = value.to_str().map_err(|_| ProofError::Malformed)?;
    if text.len() > MAX_PROOF {
        return Err(ProofError::TooLong);
    }
    let proof = Jws::parse(text).map_err(|error| match error {
        JwsError::Malformed => ProofError::Malformed,
        JwsError::Extension => ProofError::HeaderExtension,
        JwsError::Algorithm => ProofError::Algorithm,
    })?;
    if proof.typ.as_deref() != Some("dpop+jwt") {
        return Err(ProofError::Type);
    }
    Ok(proof)
}

fn public_key(jwk: &Map<String, Value>, algorithm: Algorithm) -> Result<VerifyingKey, ProofError> {
    VerifyingKey::read(&Value::Object(jwk.clone()), |known| known == algorithm).map_err(|error| {
        match error {
            JwkError::PrivateKey => ProofError::PrivateKey,
            _ => ProofError::InvalidKey,
        }
    })
}

/// An address without query and fragment, after syntax-based normalization (RFC 9449 §4.3, RFC 3986 §6.2.2): lower case
/// of scheme and host, no dot segments, decoded unreserved characters, and upper case of the other escapes.
fn normalized(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    let path = normalized_escapes(url.path());
    if path != url.path() {
        // A decoded dot can be a dot segment, which this removes.
        url.set_path(&path);
    }
    Some(url)
}

/// Decodes unreserved characters, and writes the digits of other escapes in upper case.
fn normalized_escapes(path: &str) -> String {
    let mut parts = path.split('%');
    let mut normalized = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (byte.map(char::from), digits) {
            (Some(c), _) if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~') => {
                normalized.push(c);
                normalized.push_str(part.get(2..).unwrap_or_default());
            }
            (_, Some(digits)) => {
                normalized.push('%');
                normalized.push_str(&digits.to_ascii_uppercase());
                normalized.push_str(part.get(2..).unwrap_or_default());
            }
            (_, None) => {
                normalized.push('%');
                normalized.push_str(part);
            }
        }
    }
    normalized
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_normalized_and_without_query() {
        let same = normalized("https://api.example/pay");
        for text in [
            "HTTPS://API.example:443/pay",
            "https://api.example/pay?x=1#y",
            "https://api.example/./pay",
            "https://api.example/p%61y",
        ] {
            assert_eq!(normalized(text), same, "{text}");
        }
        for text in
            ["https://api.example/pay/", "http://api.example/pay", "https://api.example/PAY"]
        {
            assert_ne!(normalized(text), same, "{text}");
        }
        assert_eq!(normalized("/pay"), None);
        for (one, other) in [("/~me", "/%7Eme"), ("/%e2%82%ac", "/%E2%82%AC"), ("/%7e", "/~")] {
            let of = |path: &str| normalized(&format!("https://api.example{path}"));
            assert_eq!(of(one), of(other), "{one}");
        }
        assert_ne!(normalized("https://api.example/a%2Fb"), normalized("https://api.example/a/b"));
    }
}
