//! Verification of a JWT access token (RFC 9068): form, header, issuer, signature, claims. The
//! signature is checked by jsonwebtoken; the claims are checked here, against our clock, since
//! jsonwebtoken looks at the system's clock and lets a token without `iss` or `aud` pass.

use crate::issuer::Trusted;
use crate::jwks::algorithm;
use crate::keys::Renewed;
use crate::refusal::Cause;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};
use std::sync::Arc;
use stepup_contract::{Authentication, amr, numeric_date, parse_strict};

/// A token whose signature and claims were checked, times apart: those are looked at anew on every
/// request.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) issuer: Arc<Trusted>,
    pub(crate) subject: String,
    pub(crate) client: Option<String>,
    pub(crate) amr: Vec<String>,
    pub(crate) authentication: Authentication,
    pub(crate) claims: Value,
    expires: u64,
    not_before: u64,
}

/// Why a token is not accepted; the text goes to the client and names no requirement.
type Rejected = Cause;

/// A token before its signature is checked. Nothing of it is believed yet.
struct Unverified<'a> {
    message: &'a [u8],
    signature: Vec<u8>,
    algorithm: Algorithm,
    kid: Option<String>,
    typ: Option<String>,
    claims: Map<String, Value>,
}

/// Verifies a token with the keys of the issuer that it names, and of no other.
pub(crate) async fn verify(token: &str, issuers: &[Arc<Trusted>]) -> Result<Verified, Rejected> {
    let unverified = Unverified::read(token)?;
    let named = unverified.claims.get("iss").and_then(Value::as_str);
    let issuer = issuers
        .iter()
        .find(|issuer| named == Some(issuer.name.as_str()))
        .ok_or(Cause::InvalidToken("the token is of no issuer that is trusted here"))?;
    unverified.check_typ(issuer)?;
    unverified.check_signature(issuer).await?;
    unverified.into_verified(issuer)
}

impl<'a> Unverified<'a> {
    fn read(token: &'a str) -> Result<Self, Rejected> {
        const MALFORMED: Cause = Cause::InvalidToken("the token is not a signed JWT");
        let (message, signature) = token.rsplit_once('.').ok_or(MALFORMED)?;
        let (header, payload) = message.split_once('.').ok_or(MALFORMED)?;
        if payload.contains('.') {
            return Err(MALFORMED);
        }
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| MALFORMED);
        let header = object(&decode(header)?).ok_or(MALFORMED)?;
        let claims = object(&decode(payload)?).ok_or(MALFORMED)?;
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(MALFORMED),
        };
        // No extension is understood here, so that any critical one is refused (RFC 7515 §4.1.11).
        if ["crit", "b64", "enc", "zip"].iter().any(|name| header.contains_key(*name)) {
            return Err(Cause::InvalidToken("the token's header asks for an extension"));
        }
        let algorithm = text("alg")?
            .and_then(|name| algorithm(&name))
            .ok_or(Cause::InvalidToken("the token's algorithm is not accepted"))?;
        Ok(Self {
            message: message.as_bytes(),
            signature: decode(signature)?,
            algorithm,
            kid: text("kid")?,
            typ: text("typ")?,
            claims,
        })
    }

    /// RFC 9068 §4: the type keeps other JWTs of the same issuer from being used as access tokens.
    fn check_typ(&self, issuer: &Trusted) -> Result<(), Rejected> {
        const ID_TOKEN: [&str; 5] = ["nonce", "at_hash", "c_hash", "s_hash", "events"];
        const ACCESS_TOKEN: [&str; 6] = ["scope", "scp", "client_id", "cid", "appid", "roles"];
        let typ = self.typ.as_deref().map(str::to_ascii_lowercase);
        match typ.as_deref() {
            Some("at+jwt" | "application/at+jwt") => return Ok(()),
            None | Some("jwt" | "application/jwt") if issuer.untyped => {}
            _ => {
                tracing::debug!(
                    issuer = issuer.name,
                    typ = self.typ,
                    "a token was refused for its typ; if this issuer's access tokens have it, say \
                     .allow_untyped_tokens(true)"
                );
                return Err(Cause::InvalidToken("the token is not an access token"));
            }
        }
        // The kind of token is named in a claim by Keycloak and by Cognito. ID tokens need not have a
        // mark of their own, so that an access token must have one of its own as well.
        let kind = |name: &str, access: &str| self.claims.get(name).map(|kind| kind == access);
        let kinds = [kind("typ", "Bearer"), kind("token_use", "access")];
        let has = |claims: &[&str]| claims.iter().any(|claim| self.claims.contains_key(*claim));
        let marked = has(&ID_TOKEN)
            || kinds.contains(&Some(false))
            || !(kinds.contains(&Some(true)) || has(&ACCESS_TOKEN));
        if marked {
            Err(Cause::InvalidToken("the token is not marked as an access token"))
        } else {
            Ok(())
        }
    }

    async fn check_signature(&self, issuer: &Trusted) -> Result<(), Rejected> {
        let kid = self.kid.as_deref();
        let mut keys = issuer.keys.current();
        if keys.find(kid, self.algorithm).is_none() {
            let renewed = issuer.keys.renew().await;
            keys = issuer.keys.current();
            if keys.find(kid, self.algorithm).is_none() {
                return Err(match renewed {
                    Renewed::Current => Cause::InvalidToken("the token's key is not known"),
                    Renewed::Unreachable => Cause::Unavailable,
                });
            }
        }
        let key = keys.find(kid, self.algorithm);
        match key {
            Some(key) if signed(self, &key.verifier) => Ok(()),
            _ => Err(Cause::InvalidToken("the token's signature is wrong")),
        }
    }

    fn into_verified(self, issuer: &Arc<Trusted>) -> Result<Verified, Rejected> {
        let claims = self.claims;
        if claims.contains_key("cnf") {
            return Err(Cause::InvalidToken(
                "the token is bound to a key, and no proof of it can be checked here",
            ));
        }
        let audience = match claims.get("aud") {
            Some(Value::String(audience)) => issuer.audiences.contains(audience),
            Some(Value::Array(list)) => {
                let named = |value: &Value| value.as_str().map(str::to_owned);
                let all: Option<Vec<String>> = list.iter().map(named).collect();
                all.is_some_and(|all| all.iter().any(|one| issuer.audiences.contains(one)))
            }
            _ => false,
        };
        if !audience {
            return Err(Cause::InvalidToken("the token is for another audience"));
        }
        let subject = match claims.get("sub") {
            Some(Value::String(subject)) if !subject.is_empty() => subject.clone(),
            _ => return Err(Cause::InvalidToken("the token names no subject")),
        };
        let time = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(value) => numeric_date(value)
                .map(Some)
                .ok_or(Cause::InvalidToken("a date in the token is not a number of seconds")),
        };
        let expires = time("exp")?.ok_or(Cause::InvalidToken("the token never expires"))?;
        let not_before = time("nbf")?.max(time("iat")?).unwrap_or(0);
        let client = claims.get("client_id").or_else(|| claims.get("azp")).and_then(Value::as_str);
        Ok(Verified {
            issuer: Arc::clone(issuer),
            subject,
            client: client.map(str::to_owned),
            amr: amr(&claims).into_iter().map(str::to_owned).collect(),
            authentication: issuer.profile.authentication(&claims),
            expires,
            not_before,
            claims: Value::Object(claims),
        })
    }
}

impl Verified {
    /// Whether the token may be used now. Its end is exact; its beginning may be ahead of our clock
    /// by the issuer's skew.
    pub(crate) fn check_times(&self, now: u64) -> Result<(), Rejected> {
        let skew = u64::from(self.authentication.clock_skew);
        if now >= self.expires {
            return Err(Cause::InvalidToken("the token has expired"));
        }
        if self.not_before > now.saturating_add(skew) {
            return Err(Cause::InvalidToken("the token is not valid yet"));
        }
        Ok(())
    }
}

fn object(text: &[u8]) -> Option<Map<String, Value>> {
    match parse_strict(text) {
        Ok(Value::Object(map)) => Some(map),
        _ => None,
    }
}

/// Checks the signature with the provider of this crate's own choice, not with the process's
/// default, which panics when another crate has enabled a second backend.
fn signed(token: &Unverified<'_>, key: &DecodingKey) -> bool {
    (DEFAULT_PROVIDER.verifier_factory)(&token.algorithm, key)
        .is_ok_and(|verifier| verifier.verify(token.message, &token.signature).is_ok())
}
