//! From a token to its verified claims: the cache, then the keys of the token's issuer, then introspection.

use crate::issuer::trusted::TrustedIssuer;
use crate::jose::jws::{Jws, looks_like_jws};
use crate::refusal::{Cause, TokenError};
use crate::request::credential::check_token_syntax;
use crate::token::cache::{CacheMiss, TokenCache, VerifiedTokens};
use crate::token::claims::check_typ;
use crate::token::introspection::client::Introspector;
use crate::token::times::TokenTimes;
use crate::token::verified::{ClaimsSource, VerifiedToken};
use serde_json::Value;
use std::sync::Arc;

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

    /// Verifies a token that is not cached, and caches it.
    pub(crate) async fn verify(
        &self,
        token: &[u8],
        miss: CacheMiss,
        now: u64,
    ) -> Result<Arc<VerifiedToken>, Cause> {
        let text = check_token_syntax(token)?;
        let verified = self.verify_text(text, now).await?;
        Ok(self.cache.insert(token, miss, verified))
    }

    /// Only the issuer that a JWT names can confirm it. An opaque token names no issuer, so the issuer that introspects
    /// is queried.
    async fn verify_text(&self, token: &str, now: u64) -> Result<VerifiedToken, Cause> {
        if !looks_like_jws(token) {
            let introspector = self.introspector.as_ref().ok_or(TokenError::Malformed)?;
            return introspector.verify_opaque(token, now).await;
        }
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
        let key = issuer.keys.verify(&jws).await?;
        let Jws { claims, payload, .. } = jws;
        let source = ClaimsSource { key: Some(key), introspected_until: None };
        let verified = VerifiedToken::new(issuer, &claims, payload, source, false)?;
        match self.introspector.as_ref().filter(|introspector| introspector.checks_jwts_of(issuer))
        {
            Some(introspector) => introspector.confirm_jwt(token, &claims, verified, now).await,
            None => Ok(verified),
        }
    }
}
