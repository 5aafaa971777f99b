//! What makes a JWT an access token of an issuer for this API (RFC 9068 §4). Signatures are checked
//! by `keys`; here are the claims, which are held against our own clock.

use crate::issuer::Trusted;
use crate::jwks::Key;
use crate::jws::Jws;
use crate::refusal::Cause;
use crate::times::Times;
use serde_json::{Map, Value};
use std::sync::Arc;
use stepup_contract::Authentication;
use tokio::time::Instant;

/// A token whose issuer answers for its claims, times apart: those are looked at anew on every
/// request.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) issuer: Arc<Trusted>,
    pub(crate) subject: String,
    pub(crate) client: Option<String>,
    pub(crate) amr: Vec<String>,
    pub(crate) authentication: Authentication,
    pub(crate) claims: Value,
    /// The thumbprint of the key that the token is bound to (`cnf.jkt`, RFC 9449 §6.1).
    pub(crate) bound_to: Option<String>,
    /// All of the token before its signature, where it is kept; nothing of one that is no JWT.
    pub(crate) message: Box<[u8]>,
    pub(crate) times: Times,
    pub(crate) source: Source,
}

/// What the claims rest on: a signature, the issuer's word, or both.
#[derive(Debug)]
pub(crate) struct Source {
    /// The key that has signed them.
    pub(crate) key: Option<Arc<Key>>,
    /// Until when the issuer's own word is good.
    pub(crate) said_until: Option<Instant>,
}

/// Verifies a JWT with the keys of this issuer, the one that it names.
pub(crate) async fn verify(
    jws: Jws<'_>,
    issuer: &Arc<Trusted>,
    now: u64,
) -> Result<Verified, Cause> {
    check_typ(&jws, &issuer.name, issuer.untyped)?;
    // What has expired is refused anyway, and must not make keys be fetched that are long gone.
    if let Ok(times) = Times::of(&jws.claims, true) {
        times.check_end(now)?;
    }
    let key = issuer.keys.verify(&jws).await?;
    Verified::new(issuer, jws.claims, Source { key: Some(key), said_until: None })
}

/// RFC 9068 §4: the type keeps other JWTs of the same issuer from being used as access tokens. `untyped` are
/// accepted where their claims say what they are.
pub(crate) fn check_typ(jws: &Jws<'_>, issuer: &str, untyped: bool) -> Result<(), Cause> {
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
                "a token was refused for its typ; if this issuer's access tokens have it, say \
                 .allow_untyped_tokens(true)"
            );
            return Err(Cause::InvalidToken("the token is not an access token"));
        }
    }
    // The kind of token is named in a claim by Keycloak and by Cognito. ID tokens need not have a
    // mark of their own, so that an access token must have one of its own as well.
    let kinds = kinds(&jws.claims);
    let has = |claims: &[&str]| claims.iter().any(|claim| jws.claims.contains_key(*claim));
    let marked = has(&ID_TOKEN)
        || kinds.contains(&Some(false))
        || !(kinds.contains(&Some(true)) || has(&ACCESS_TOKEN));
    if marked {
        Err(Cause::InvalidToken("the token is not marked as an access token"))
    } else {
        Ok(())
    }
}

/// What the claims that name a token's kind say: whether it is an access token.
pub(crate) fn kinds(claims: &Map<String, Value>) -> [Option<bool>; 2] {
    let kind = |name: &str, access: &[&str]| {
        let value = claims.get(name)?;
        Some(value.as_str().is_some_and(|kind| access.contains(&kind)))
    };
    [kind("typ", &["Bearer", "DPoP", "at+jwt"]), kind("token_use", &["access", "access_token"])]
}

/// Whether this claim names one of our audiences, as a text or in a list of texts (RFC 7519 §4.1.3); `None` where
/// it is missing.
pub(crate) fn names(claim: Option<&Value>, ours: &[String]) -> Option<bool> {
    let is_ours = |one: &Value| one.as_str().is_some_and(|one| ours.iter().any(|our| our == one));
    Some(match claim? {
        Value::Array(list) => list.iter().all(Value::is_string) && list.iter().any(is_ours),
        one => is_ours(one),
    })
}

/// The thumbprint in a `cnf` claim, which must hold that alone: every other member would have to be
/// checked too.
fn jkt(cnf: &Value) -> Result<String, Cause> {
    let members = cnf.as_object().filter(|members| members.len() == 1);
    let jkt = members.and_then(|members| members.get("jkt")).and_then(Value::as_str);
    jkt.map(str::to_owned).ok_or(Cause::InvalidToken(
        "the token is bound to a key in a way that cannot be checked here",
    ))
}

/// Whether a token is said to be of DPoP (RFC 9449 §5), or says so itself, as Keycloak's do.
pub(crate) fn is_declared_bound(claims: &Map<String, Value>) -> bool {
    let kinds = ["token_type", "typ"].into_iter().filter_map(|name| claims.get(name)?.as_str());
    kinds.into_iter().any(|kind| kind.eq_ignore_ascii_case("dpop"))
}

/// What must be there in every access token, whoever its issuer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Whose token it is.
    pub subject: String,
    /// The thumbprint of the key that it is bound to.
    pub bound_to: Option<String>,
    /// When it may be used.
    pub times: Times,
}

impl Standing {
    /// What these claims say, of a `signed` token or of one of which an issuer says them.
    ///
    /// # Errors
    /// When there is no subject, when a date cannot be read or a signed token has no end, when it is bound to a
    /// key in another way than DPoP's, or when it is declared to be bound and names no key.
    pub fn of(claims: &Map<String, Value>, signed: bool) -> Result<Self, Cause> {
        let bound_to = claims.get("cnf").map(jkt).transpose()?;
        if bound_to.is_none() && is_declared_bound(claims) {
            return Err(Cause::InvalidToken(
                "the token is declared to be bound to a key, and does not say to which",
            ));
        }
        let subject = match claims.get("sub") {
            Some(Value::String(subject)) if !subject.is_empty() => subject.clone(),
            _ => return Err(Cause::InvalidToken("the token names no subject")),
        };
        Ok(Self { subject, bound_to, times: Times::of(claims, signed)? })
    }
}

impl Verified {
    /// Checks the claims that every token must have, and reads the rest.
    pub(crate) fn new(
        issuer: &Arc<Trusted>,
        claims: Map<String, Value>,
        source: Source,
    ) -> Result<Self, Cause> {
        let Standing { subject, bound_to, times } = Standing::of(&claims, source.key.is_some())?;
        let audience = names(claims.get(&issuer.audience_claim), &issuer.audiences);
        if !audience.unwrap_or_else(|| source.key.is_none() && issuer.audience_optional()) {
            return Err(Cause::InvalidToken("the token is for another audience"));
        }
        let client = ["client_id", "azp", "cid", "appid"].iter().find_map(|name| claims.get(*name));
        let client = client.and_then(Value::as_str);
        Ok(Self {
            issuer: Arc::clone(issuer),
            subject,
            client: client.map(str::to_owned),
            amr: issuer.profile.amr(&claims).into_iter().map(str::to_owned).collect(),
            authentication: issuer.profile.authentication(&claims),
            times,
            claims: Value::Object(claims),
            bound_to,
            message: Box::default(),
            source,
        })
    }

    /// Whether what the claims rest on still holds: the key is the issuer's, the issuer was heard
    /// not too long ago. If not, the token has to be verified anew.
    pub(crate) fn still_stands(&self) -> bool {
        let Source { key, said_until } = &self.source;
        let signed = key
            .as_ref()
            .is_none_or(|key| !key.is_withdrawn() && self.issuer.keys.check_fresh().is_ok());
        signed && said_until.is_none_or(|until| Instant::now() < until)
    }

    /// Whether the token may be used now.
    pub(crate) fn check_times(&self, now: u64) -> Result<(), Cause> {
        self.times.check(now, self.authentication.clock_skew)
    }
}
