//! From a token to its verified claims: the cache, then the keys of the token's issuer, then introspection.

use crate::issuer::key_store::KeyLookup;
use crate::issuer::trusted::TrustedIssuer;
use crate::jose::jwk::VerifyingKey;
use crate::jose::jws::{Jws, looks_like_jws};
use crate::refusal::{Cause, TokenError};
use crate::request::credential::check_token_syntax;
use crate::token::cache::{CacheMiss, TokenCache, VerifiedTokens};
use crate::token::claims::check_typ;
use crate::token::introspection::client::Introspector;
use crate::token::times::TokenTimes;
use crate::token::verified::{ClaimsSource, VerifiedToken};
use serde_json::{Map, Value};
use std::net::IpAddr;
use std::sync::Arc;

/// The keys that have not signed a token.
type TriedKeys = Vec<Arc<VerifyingKey>>;

/// How far verification gets without waiting.
pub(crate) enum Verification {
    /// To its end.
    Done(Result<Arc<VerifiedToken>, Cause>),
    /// To a token that only its issuer can confirm: by new keys, or by introspection.
    NeedsIssuer(UnconfirmedToken),
}

/// A token that only its issuer can confirm.
#[derive(Debug)]
pub(crate) struct UnconfirmedToken {
    miss: CacheMiss,
    /// The current keys, if they were tried.
    tried: Option<TriedKeys>,
}

/// Why a token is not verified yet.
enum NotVerified {
    Refused(Cause),
    /// Only the issuer can confirm the token. These keys were tried, if any.
    NeedsIssuer(Option<TriedKeys>),
}

impl<E: Into<Cause>> From<E> for NotVerified {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

/// Verifies the tokens of all trusted issuers.
pub(crate) struct TokenVerifier {
    issuers: Vec<Arc<TrustedIssuer>>,
    /// At most one issuer introspects, because an opaque token does not name its issuer.
    introspector: Option<Introspector>,
    cache: VerifiedTokens,
}

impl TokenVerifier {
    pub(crate) fn new(
        issuers: Vec<Arc<TrustedIssuer>>,
        introspector: Option<Introspector>,
        limits: TokenCache,
    ) -> Self {
        Self { issuers, introspector, cache: VerifiedTokens::new(limits) }
    }

    /// The trusted issuers.
    pub(crate) fn issuers(&self) -> &[Arc<TrustedIssuer>] {
        &self.issuers
    }

    /// The token from the cache, without waiting. The caller must check whether the token may be used now.
    pub(crate) fn cached(&self, token: &[u8]) -> Result<Arc<VerifiedToken>, CacheMiss> {
        self.cache.get(token)
    }

    /// Verifies a token that is not cached as far as that is possible without waiting, and caches it.
    pub(crate) fn verify_now(&self, token: &[u8], miss: CacheMiss, now: u64) -> Verification {
        match self.verify_locally(token, now) {
            Ok(verified) => Verification::Done(Ok(self.cache.insert(token, miss, verified))),
            Err(NotVerified::Refused(cause)) => Verification::Done(Err(cause)),
            Err(NotVerified::NeedsIssuer(tried)) => {
                Verification::NeedsIssuer(UnconfirmedToken { miss, tried })
            }
        }
    }

    fn verify_locally(&self, token: &[u8], now: u64) -> Result<VerifiedToken, NotVerified> {
        let text = check_token_syntax(token)?;
        if !looks_like_jws(text) {
            self.introspector.as_ref().ok_or(TokenError::Malformed)?;
            return Err(NotVerified::NeedsIssuer(None));
        }
        let (jws, issuer) = self.parse(text, now)?;
        if self.introspector_of_jwts(issuer).is_some() {
            return Err(NotVerified::NeedsIssuer(None));
        }
        match issuer.keys.verify_now(&jws) {
            KeyLookup::Found(key) => Ok(signed_by(issuer, key, jws)?.0),
            KeyLookup::Refused(reason) => Err(reason.into()),
            KeyLookup::RefreshNeeded(tried) => Err(NotVerified::NeedsIssuer(Some(tried))),
        }
    }

    /// Verifies a token with the help of its issuer, by refreshed keys or by introspection, and caches it. `client` is the
    /// address of the client that presents the token, if known.
    pub(crate) async fn verify_with_issuer(
        &self,
        token: &[u8],
        UnconfirmedToken { miss, tried }: UnconfirmedToken,
        client: Option<IpAddr>,
        now: u64,
    ) -> Result<Arc<VerifiedToken>, Cause> {
        let text = check_token_syntax(token)?;
        let verified = self.confirm(text, tried, client, now).await?;
        Ok(self.cache.insert(token, miss, verified))
    }

    /// Only the issuer that a JWT names can confirm it. An opaque token names no issuer, so the issuer that introspects
    /// is queried.
    async fn confirm(
        &self,
        token: &str,
        tried: Option<TriedKeys>,
        client: Option<IpAddr>,
        now: u64,
    ) -> Result<VerifiedToken, Cause> {
        if !looks_like_jws(token) {
            let introspector = self.introspector.as_ref().ok_or(TokenError::Malformed)?;
            return introspector.verify_opaque(token, client, now).await;
        }
        let (jws, issuer) = self.parse(token, now)?;
        let key = match tried {
            Some(tried) => issuer.keys.verify_refreshed(&jws, &tried).await?,
            None => issuer.keys.verify(&jws).await?,
        };
        let (verified, claims) = signed_by(issuer, key, jws)?;
        match self.introspector_of_jwts(issuer) {
            Some(introspector) => introspector.confirm_jwt(token, &claims, verified, now).await,
            None => Ok(verified),
        }
    }

    /// Parses a JWT and finds its issuer. Checks everything that can be checked without a key.
    fn parse<'t>(&self, token: &'t str, now: u64) -> Result<(Jws<'t>, &Arc<TrustedIssuer>), Cause> {
        let jws = Jws::parse(token).map_err(TokenError::from)?;
        let named = jws.claims.get("iss").and_then(Value::as_str);
        let issuer = self
            .issuers
            .iter()
            .find(|issuer| named == Some(issuer.name.as_str()))
            .ok_or(TokenError::UnknownIssuer)?;
        check_typ(&jws, &issuer.name, issuer.untyped)?;
        // An expired token is refused anyway, and must not cause a fetch of keys that are long gone.
        if let Ok(times) = TokenTimes::of(&jws.claims, true) {
            times.check_expiry(now)?;
        }
        Ok((jws, issuer))
    }

    /// The introspector, if it also checks the JWTs of this issuer.
    fn introspector_of_jwts(&self, issuer: &Arc<TrustedIssuer>) -> Option<&Introspector> {
        self.introspector.as_ref().filter(|introspector| introspector.checks_jwts_of(issuer))
    }
}

/// The claims of a JWT that this key of the issuer has signed.
fn signed_by(
    issuer: &Arc<TrustedIssuer>,
    key: Arc<VerifyingKey>,
    jws: Jws<'_>,
) -> Result<(VerifiedToken, Map<String, Value>), TokenError> {
    let Jws { claims, payload, .. } = jws;
    let source = ClaimsSource { key: Some(key), introspected_until: None };
    Ok((VerifiedToken::new(issuer, &claims, payload, source, false)?, claims))
}
