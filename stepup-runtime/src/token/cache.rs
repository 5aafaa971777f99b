//! The cache of verified tokens.
//!
//! The key is the SHA-256 digest of a token's signature, and a hit also compares everything before the signature byte
//! by byte. Hashing the signature alone is cheaper than hashing the token, and the stored bytes are useless as a token
//! because they lack the signature. The cache stores what a token says, never whether it may be used: validity times
//! and retired keys are checked on every hit. Only verified tokens are stored, so that a client without valid tokens
//! cannot fill the cache.

use crate::support::digest::{Digest, sha256};
use crate::token::verified::VerifiedToken;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::sync::Arc;
use stepup_contract::Authentication;

/// The limits of the cache of verified tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenCache {
    entries: u64,
    bytes: u64,
}

impl Default for TokenCache {
    /// At most 10,000 tokens in about 64 MiB.
    fn default() -> Self {
        Self { entries: 10_000, bytes: 64 << 20 }
    }
}

impl TokenCache {
    /// No cache: every token is verified on every request.
    pub fn off() -> Self {
        Self { entries: 0, bytes: 0 }
    }

    /// Limits the number of tokens.
    #[must_use]
    pub fn entries(mut self, entries: u64) -> Self {
        self.entries = entries;
        self
    }

    /// Limits the memory, in bytes. The size of a token is estimated.
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }
}

/// The estimated memory of a token without its variable parts.
const MIN_BYTES: u64 = 1024;

/// The largest number of tokens for which the cache is prepared. It may contain more.
const MAX_EXPECTED: u64 = 1 << 20;

/// Verified tokens by the digest of their signature, or of an opaque token as a whole.
pub(crate) struct VerifiedTokens(Option<Cache<Digest, Arc<VerifiedToken>, EstimatedBytes>>);

/// Weighs a token by its estimated memory. The cache has a single limit, in bytes, so each token has a minimum weight,
/// which limits the number of tokens too.
#[derive(Debug, Clone)]
struct EstimatedBytes {
    share: u64,
}

impl Weighter<Digest, Arc<VerifiedToken>> for EstimatedBytes {
    fn weight(&self, _: &Digest, token: &Arc<VerifiedToken>) -> u64 {
        estimated_bytes(token).max(self.share)
    }
}

/// A token that is not cached, with its digest if the cache may store the token.
#[derive(Debug)]
pub(crate) struct CacheMiss(Option<Digest>);

impl VerifiedTokens {
    pub(crate) fn new(limits: TokenCache) -> Self {
        let TokenCache { entries, bytes } = limits;
        Self((entries > 0 && bytes > 0).then(|| {
            let share = bytes.div_ceil(entries);
            // The cache also remembers evicted keys, in proportion to the expected number of tokens.
            let expected = entries.min(bytes / MIN_BYTES).clamp(1, MAX_EXPECTED);
            let expected = usize::try_from(expected).unwrap_or(usize::MAX);
            Cache::with_weighter(expected, bytes, EstimatedBytes { share })
        }))
    }

    /// The cached token, if its claims are still confirmed. The caller must check whether it may be used now.
    pub(crate) fn get(&self, token: &[u8]) -> Result<Arc<VerifiedToken>, CacheMiss> {
        let Some(cache) = &self.0 else {
            return Err(CacheMiss(None));
        };
        let (message, signature) = split(token);
        let digest = sha256(signature);
        match cache.get(&digest).filter(|cached| *cached.message == *message) {
            Some(cached) if cached.is_source_current() => Ok(cached),
            _ => Err(CacheMiss(Some(digest))),
        }
    }

    /// Stores a token after a miss.
    pub(crate) fn insert(
        &self,
        token: &[u8],
        CacheMiss(digest): CacheMiss,
        mut verified: VerifiedToken,
    ) -> Arc<VerifiedToken> {
        let (Some(cache), Some(digest)) = (&self.0, digest) else { return Arc::new(verified) };
        verified.message = split(token).0.into();
        let verified = Arc::new(verified);
        cache.insert(digest, Arc::clone(&verified));
        verified
    }
}

/// Splits a JWT before its signature. A token that does not start like a JWT counts as all signature, so that no part
/// of it is stored.
fn split(token: &[u8]) -> (&[u8], &[u8]) {
    let dot = memchr::memrchr(b'.', token).filter(|_| token.starts_with(b"ey"));
    dot.map_or((&[], token), |dot| token.split_at(dot + 1))
}

/// An estimate of a token's memory, rather too high than too low. Words are the part that a token could use to exceed
/// the estimate: one character of a scope list becomes a string of its own.
fn estimated_bytes(token: &VerifiedToken) -> u64 {
    const PER_WORD: usize = 64;
    let Authentication { acr, scopes, .. } = &token.authentication;
    let words = acr.len() + scopes.len() + 2 * token.amr.len();
    // Parts of the claims' text are stored in fields as well.
    let bytes = token.message.len() + 2 * token.claims.len() + PER_WORD * words;
    MIN_BYTES.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX))
}
