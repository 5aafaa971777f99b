//! The claims that make a JWT or an introspection response an access token for this API (RFC 9068 §4, RFC 7662 §2.2).

use crate::jose::jws::Jws;
use crate::refusal::TokenError;
use crate::token::times::TokenTimes;
use serde_json::{Map, Value};

/// The claims that every access token must have, whoever its issuer is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenClaims {
    /// The user (`sub`).
    pub subject: String,
    /// The thumbprint of the key that the token is bound to (`cnf.jkt`, RFC 9449 §6.1).
    pub bound_to: Option<String>,
    /// When the token may be used.
    pub times: TokenTimes,
}

impl TokenClaims {
    /// Reads the claims of a `signed` token, or of an introspection response.
    ///
    /// # Errors
    /// If the subject is missing, a date is invalid, a signed token never expires, the token is bound in another way
    /// than by DPoP, or it is declared to be bound and names no key.
    pub fn of(claims: &Map<String, Value>, signed: bool) -> Result<Self, TokenError> {
        let bound_to = claims.get("cnf").map(thumbprint).transpose()?;
        if bound_to.is_none() && is_declared_bound(claims) {
            return Err(TokenError::DeclaredBoundWithoutKey);
        }
        let subject = match claims.get("sub") {
            Some(Value::String(subject)) if !subject.is_empty() => subject.clone(),
            _ => return Err(TokenError::NoSubject),
        };
        Ok(Self { subject, bound_to, times: TokenTimes::of(claims, signed)? })
    }
}

/// The members of `cnf` that bind a token to a key in another way (RFC 7800 §3.1, RFC 8705 §3.1). The key would have to
/// be checked too, which is not possible here.
const OTHER_BINDINGS: [&str; 5] = ["jwk", "jwe", "jku", "x5t#S256", "x5t"];

/// The thumbprint in a `cnf` claim. Unknown members are ignored, as RFC 7800 §3.1 requires.
fn thumbprint(cnf: &Value) -> Result<String, TokenError> {
    let members = cnf.as_object();
    let members = members.filter(|cnf| !OTHER_BINDINGS.iter().any(|name| cnf.contains_key(*name)));
    let jkt = members.and_then(|members| members.get("jkt")).and_then(Value::as_str);
    jkt.map(str::to_owned).ok_or(TokenError::UnsupportedConfirmation)
}

/// Whether a token is declared to be a DPoP token (RFC 9449 §5), by its issuer or by its own `typ` as Keycloak does.
pub(crate) fn is_declared_bound(claims: &Map<String, Value>) -> bool {
    let kinds = ["token_type", "typ"].into_iter().filter_map(|name| claims.get(name)?.as_str());
    kinds.into_iter().any(|kind| kind.eq_ignore_ascii_case("dpop"))
}

/// Checks that a JWT is an access token (RFC 9068 §4), so that no other JWT of the issuer is accepted as one. If
/// `untyped` tokens are accepted, their claims must say what they are.
pub(crate) fn check_typ(jws: &Jws<'_>, issuer: &str, untyped: bool) -> Result<(), TokenError> {
    const ID_TOKEN: [&str; 5] = ["nonce", "at_hash", "c_hash", "s_hash", "events"];
    const ACCESS_TOKEN: [&str; 7] =
        ["scope", "scp", "client_id", "cid", "appid", "azpacr", "appidacr"];
    match jws.typ.as_deref() {
        Some("at+jwt") => return Ok(()),
        None | Some("jwt") if untyped => {}
        typ => {
            tracing::debug!(
                issuer,
                typ,
                "a token is refused because of its typ; if this issuer's access tokens have this typ, call \
                 .allow_untyped_tokens(true)"
            );
            return Err(TokenError::NotAnAccessToken);
        }
    }
    // An ID token need not have a distinguishing claim, so an access token must have one.
    let kinds = token_kinds(&jws.claims);
    let has = |claims: &[&str]| claims.iter().any(|claim| jws.claims.contains_key(*claim));
    let refused = has(&ID_TOKEN)
        || kinds.contains(&Some(false))
        || !(kinds.contains(&Some(true)) || has(&ACCESS_TOKEN));
    if refused { Err(TokenError::NotMarkedAsAccessToken) } else { Ok(()) }
}

/// Whether the claims in which Keycloak (`typ`) and Cognito (`token_use`) name the kind of a token say that it is an
/// access token. `None` where a claim is missing.
pub(crate) fn token_kinds(claims: &Map<String, Value>) -> [Option<bool>; 2] {
    let kind = |name: &str, access: &[&str]| {
        let value = claims.get(name)?;
        Some(value.as_str().is_some_and(|kind| access.contains(&kind)))
    };
    [kind("typ", &["Bearer", "DPoP", "at+jwt"]), kind("token_use", &["access", "access_token"])]
}

/// Whether this claim names one of the audiences, as text or in a list of texts (RFC 7519 §4.1.3). `None` if the claim
/// is missing.
pub(crate) fn names_audience(claim: Option<&Value>, audiences: &[String]) -> Option<bool> {
    let is_ours = |one: &Value| one.as_str().is_some_and(|one| audiences.iter().any(|a| a == one));
    Some(match claim? {
        Value::Array(list) => list.iter().all(Value::is_string) && list.iter().any(is_ours),
        one => is_ours(one),
    })
}
