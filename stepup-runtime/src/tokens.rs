//! From a token to what its issuer says, through the cache of verified tokens.
//!
//! The cache is keyed by the SHA-256 digest of the whole token, so that a hit is this very token and
//! no token is kept. It holds what a token says and never whether it may be used: times, and whether
//! the key is still the issuer's, are looked at on every hit. Only tokens that were verified are kept,
//! so that nobody without one can fill it.

use crate::credential::check_form;
use crate::introspection::Introspector;
use crate::issuer::Trusted;
use crate::jws::Jws;
use crate::refusal::{Cause, Refusal};
use crate::token::{Verified, verify};
use aws_lc_rs::digest::{SHA256, digest};
use moka::sync::Cache;
use serde_json::Value;
use std::sync::Arc;

/// How many verified tokens are kept, so that each is verified once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenCache {
    entries: u64,
    bytes: u64,
}

impl Default for TokenCache {
    /// 10,000 tokens in 64 MiB at most.
    fn default() -> Self {
        Self { entries: 10_000, bytes: 64 << 20 }
    }
}

impl TokenCache {
    /// Keeps nothing: every token is verified on every request.
    pub fn off() -> Self {
        Self { entries: 0, bytes: 0 }
    }

    /// Keeps this many tokens at most.
    #[must_use]
    pub fn entries(mut self, entries: u64) -> Self {
        self.entries = entries;
        self
    }

    /// Keeps about this many bytes at most.
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }
}

/// The SHA-256 digest of a token.
pub(crate) type TokenDigest = [u8; 32];

/// The digest that stands for this token.
pub(crate) fn digest_of(token: &[u8]) -> TokenDigest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, token).as_ref());
    bytes
}

/// The issuers, and the tokens of theirs that were verified.
pub(crate) struct Tokens {
    pub(crate) issuers: Vec<Arc<Trusted>>,
    verified: Option<Cache<TokenDigest, Kept>>,
}

/// A verified token and about how many bytes it takes.
#[derive(Clone)]
struct Kept {
    token: Arc<Verified>,
    bytes: u32,
}

impl Tokens {
    pub(crate) fn new(issuers: Vec<Arc<Trusted>>, limits: TokenCache) -> Self {
        let TokenCache { entries, bytes } = limits;
        let verified = (entries > 0 && bytes > 0).then(|| {
            // moka has one capacity. When each entry weighs its share of it at least, it bounds the
            // entries as well.
            let share = u32::try_from(bytes.div_ceil(entries)).unwrap_or(u32::MAX);
            Cache::builder()
                .max_capacity(bytes)
                .weigher(move |_, kept: &Kept| kept.bytes.max(share))
                .build()
        });
        Self { issuers, verified }
    }

    /// What this token says. Not whether it may be used now: that is for the caller to check, each
    /// time.
    pub(crate) async fn verify(&self, token: &[u8], now: u64) -> Result<Arc<Verified>, Refusal> {
        let Some(verified) = &self.verified else {
            return Ok(Box::pin(self.verify_anew(check_form(token)?, now)).await?);
        };
        let digest = digest_of(token);
        if let Some(Kept { token, .. }) = verified.get(&digest)
            && token.still_stands()
        {
            return Ok(token);
        }
        let text = check_form(token)?;
        // Boxed, so that the future of a request whose token is known stays small.
        let token = Box::pin(self.verify_anew(text, now)).await?;
        // Claims as a tree take about this much.
        let bytes = u32::try_from(1024 + 3 * text.len()).unwrap_or(u32::MAX);
        verified.insert(digest, Kept { token: Arc::clone(&token), bytes });
        Ok(token)
    }

    /// The issuer of a JWT is the one that it names, and no other is asked. An opaque token names
    /// none; the one issuer that introspects is asked.
    async fn verify_anew(&self, token: &str, now: u64) -> Result<Arc<Verified>, Cause> {
        if !Jws::has_form_of(token) {
            let issuer = self.issuers.iter().find(|issuer| issuer.introspector.is_some());
            let issuer = issuer.ok_or(Cause::InvalidToken("the token is not a signed JWT"))?;
            return Introspector::introspect(issuer, token, now).await;
        }
        let jws = Jws::read(token)?;
        let named = jws.claims.get("iss").and_then(Value::as_str);
        let issuer = self
            .issuers
            .iter()
            .find(|issuer| named == Some(issuer.name.as_str()))
            .ok_or(Cause::InvalidToken("the token is of no issuer that is trusted here"))?;
        if issuer.introspector.as_ref().is_some_and(Introspector::takes_jwts) {
            return Introspector::introspect(issuer, token, now).await;
        }
        verify(jws, issuer, now).await.map(Arc::new)
    }
}
