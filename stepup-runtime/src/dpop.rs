//! DPoP at the API (RFC 9449 §4.3 and §7): a token that is bound to a key is accepted only with a
//! proof, made for this very request, that the caller has the key.

use crate::algorithm::{ACCEPTED, Algorithm};
use crate::credential::{Credential, Scheme};
use crate::jwks::Key;
use crate::jws::Jws;
use crate::nonce::Nonces;
use crate::refusal::Cause;
use crate::replay::{Seen, Sight};
use crate::request_path::whole_path;
use crate::token::Verified;
use crate::tokens::digest_of;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use reqwest::Url;
use serde_json::{Map, Value, json};
use std::fmt;
use stepup_contract::numeric_date;

/// How DPoP proofs are checked. Proofs are accepted as soon as
/// [`Builder::resource`](crate::Builder::resource) says what address they must be made for.
#[derive(Clone)]
#[must_use = "give it to StepUp::builder().dpop(…)"]
pub struct Dpop {
    max_age: u32,
    nonce_key: Option<[u8; 32]>,
    capacity: usize,
}

impl Default for Dpop {
    /// Proofs are good for 60 seconds, nonces are not asked, 200,000 proofs are remembered.
    fn default() -> Self {
        Self { max_age: 60, nonce_key: None, capacity: 200_000 }
    }
}

impl Dpop {
    /// How many seconds ago a proof may have been made (`iat`): 60 unless given. It may be ahead of
    /// our clock by 30.
    pub fn max_age(mut self, seconds: u32) -> Self {
        self.max_age = seconds;
        self
    }

    /// Demands that proofs hold a nonce of ours (RFC 9449 §9). Instances that serve the same clients
    /// share the key, 32 random bytes.
    pub fn nonces(mut self, key: [u8; 32]) -> Self {
        self.nonce_key = Some(key);
        self
    }

    /// How many proofs are remembered, so that none is used twice: 200,000 unless given, which is
    /// 2,200 a second for all clients together; one caller (a subject of an issuer) can take an
    /// eighth of it, with however many keys. When there are more within their lifetime, further ones are answered with 503.
    pub fn remembered_proofs(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }
}

impl fmt::Debug for Dpop {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dpop").field("max_age", &self.max_age).finish_non_exhaustive()
    }
}

/// How far a proof may be ahead of our clock, in seconds.
const AHEAD: u64 = 30;

/// Longest proof that is looked at, in bytes, and longest `jti`.
const MAX_PROOF: usize = 8 * 1024;
const MAX_JTI: usize = 256;

/// The algorithms that a proof may be signed with, for a challenge's `algs`.
pub(crate) fn algorithms() -> String {
    ACCEPTED.map(|algorithm| algorithm.0).join(" ")
}

/// Checks proofs for one API.
pub(crate) struct Proofs {
    /// The API's address, without a slash at its end.
    resource: String,
    max_age: u64,
    nonces: Option<Nonces>,
    seen: Seen,
}

impl Proofs {
    pub(crate) fn new(resource: &str, dpop: &Dpop) -> Self {
        let max_age = u64::from(dpop.max_age);
        Self {
            resource: resource.trim_end_matches('/').to_owned(),
            max_age,
            nonces: dpop.nonce_key.as_ref().map(Nonces::new),
            seen: Seen::new(max_age + AHEAD + 1, dpop.capacity),
        }
    }

    /// Checks the proof that a request brings for a token of this caller that is bound to the key of this
    /// thumbprint.
    fn check(
        &self,
        head: &Parts,
        token: &[u8],
        (jkt, caller): (&str, &str),
        now: u64,
    ) -> Result<(), Cause> {
        const MALFORMED: Cause = Cause::InvalidProof("the DPoP proof is not a signed JWT");
        let mut values = head.headers.get_all("dpop").iter();
        let Some(value) = values.next() else {
            return Err(Cause::InvalidProof("the request has no DPoP proof"));
        };
        if values.next().is_some() {
            return Err(Cause::InvalidProof("the request has more than one DPoP proof"));
        }
        let text = value.to_str().map_err(|_| MALFORMED)?;
        if text.len() > MAX_PROOF {
            return Err(Cause::InvalidProof("the DPoP proof is too long"));
        }
        let proof = Jws::read(text).map_err(|_| MALFORMED)?;
        if proof.typ.as_deref() != Some("dpop+jwt") {
            return Err(Cause::InvalidProof("the DPoP proof's typ is not dpop+jwt"));
        }
        let jwk = proof.header.get("jwk").and_then(Value::as_object);
        let jwk = jwk.ok_or(Cause::InvalidProof("the DPoP proof brings no key"))?;
        if thumbprint(jwk).as_deref() != Some(jkt) {
            return Err(Cause::InvalidProof("the DPoP proof is of another key than the token's"));
        }
        let key = public_key(jwk, proof.algorithm);
        if !key.is_some_and(|key| proof.is_signed_by(&key)) {
            return Err(Cause::InvalidProof("the DPoP proof's signature is wrong"));
        }
        let claim = |name: &str| proof.claims.get(name).and_then(Value::as_str);
        if claim("htm") != Some(head.method.as_str()) {
            return Err(Cause::InvalidProof("the DPoP proof is for another HTTP method"));
        }
        // Routing takes the path as it stands, so that one which means another has no proof.
        let path = whole_path(head);
        let here = plain(&format!("{}{path}", self.resource));
        let here = here.filter(|url| url.as_str().ends_with(path));
        if here.is_none() || claim("htu").and_then(plain) != here {
            return Err(Cause::InvalidProof("the DPoP proof is for another address"));
        }
        let hash = URL_SAFE_NO_PAD.encode(digest_of(token));
        if claim("ath") != Some(&hash) {
            return Err(Cause::InvalidProof("the DPoP proof is for another token"));
        }
        if let Some(nonces) = &self.nonces
            && !claim("nonce").is_some_and(|nonce| nonces.knows(nonce, now))
        {
            return Err(Cause::UseDpopNonce(nonces.current(now)));
        }
        let made = proof.claims.get("iat").and_then(numeric_date);
        if !made.is_some_and(|made| {
            made <= now.saturating_add(AHEAD) && now.saturating_sub(made) <= self.max_age
        }) {
            return Err(Cause::InvalidProof("the DPoP proof was not made just now"));
        }
        let jti = claim("jti").filter(|jti| !jti.is_empty() && jti.len() <= MAX_JTI);
        let jti = jti.ok_or(Cause::InvalidProof("the DPoP proof has no jti, or too long a one"))?;
        let mark = digest_of(format!("{jkt} {jti}").as_bytes());
        match self.seen.see(mark, digest_of(caller.as_bytes()), now) {
            Sight::First => Ok(()),
            Sight::Again => Err(Cause::InvalidProof("the DPoP proof was used before")),
            Sight::Full => {
                tracing::error!(
                    jkt,
                    "a DPoP proof was refused, since Dpop::remembered_proofs allows no further one \
                     to be remembered, or no further one of this caller"
                );
                Err(Cause::Unavailable { retry_after: 5 })
            }
        }
    }
}

/// Whether a token may be presented in this way: `by_dpop` or as a bearer token, `bound` to a key or not, of an issuer
/// that must bind its tokens or need not (RFC 9449 §7.1). The proof is another question.
///
/// # Errors
/// What is wrong with it.
pub fn check_scheme(by_dpop: bool, bound: bool, must_be_bound: bool) -> Result<(), Cause> {
    Err(Cause::InvalidToken(match (by_dpop, bound) {
        (false, false) if must_be_bound => {
            "the token is not bound to a key, as its issuer's must be"
        }
        (false, true) => "the token is bound to a key; send it with its DPoP proof",
        (true, false) => "the token is not bound to a key; send it as Bearer",
        (false, false) | (true, true) => return Ok(()),
    }))
}

/// Whether the token is bound to a key and was shown with a proof of it. A bound token without its
/// proof is refused, and so is an issuer's unbound token where the issuer must bind.
pub(crate) fn check_binding(
    proofs: Option<&Proofs>,
    credential: &Credential<'_>,
    head: &Parts,
    verified: &Verified,
    now: u64,
) -> Result<bool, Cause> {
    let by_dpop = credential.scheme == Scheme::Dpop;
    check_scheme(by_dpop, verified.bound_to.is_some(), verified.issuer.dpop_required)?;
    let Some(jkt) = &verified.bound_to else { return Ok(false) };
    let Some(proofs) = proofs else {
        tracing::error!(
            "a DPoP-bound token was refused, since proofs cannot be checked; say \
             StepUp::builder().resource(\"https://…\")"
        );
        return Err(Cause::InvalidToken(
            "the token is bound to a key, and no proof of it can be checked here",
        ));
    };
    // Keys cost nothing, so that the room is shared among subjects.
    let caller = format!("{} {}", verified.issuer.name, verified.subject);
    proofs.check(head, credential.token, (jkt, &caller), now).map(|()| true)
}

/// The key's SHA-256 thumbprint (RFC 7638).
pub(crate) fn thumbprint(jwk: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    // serde_json writes members in the order of their names, as the RFC asks.
    let members = match text("kty")? {
        "EC" => json!({"crv": text("crv")?, "kty": "EC", "x": text("x")?, "y": text("y")?}),
        "OKP" => json!({"crv": text("crv")?, "kty": "OKP", "x": text("x")?}),
        "RSA" => json!({"e": text("e")?, "kty": "RSA", "n": text("n")?}),
        _ => return None,
    };
    Some(URL_SAFE_NO_PAD.encode(digest(&SHA256, members.to_string().as_bytes())))
}

fn public_key(jwk: &Map<String, Value>, algorithm: Algorithm) -> Option<Key> {
    Key::read(&Value::Object(jwk.clone()), |known| known == algorithm).ok()
}

/// An address without query and fragment, normalized (RFC 9449 §4.3).
fn plain(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    Some(url)
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

    #[test]
    fn an_address_is_compared_in_its_normal_form_without_query() {
        let same = plain("https://api.example/pay");
        for text in [
            "HTTPS://API.example:443/pay",
            "https://api.example/pay?x=1#y",
            "https://api.example/./pay",
        ] {
            assert_eq!(plain(text), same, "{text}");
        }
        for text in
            ["https://api.example/pay/", "http://api.example/pay", "https://api.example/PAY"]
        {
            assert_ne!(plain(text), same, "{text}");
        }
        assert_eq!(plain("/pay"), None);
    }
}
