//! From a token to what its issuer says, through the cache of verified tokens.
//!
//! A hit is this very token: its signature by the SHA-256 digest, and all before it byte by byte. That
//! is less to digest than the whole, and what is kept is no token, since its signature is not. The cache
//! holds what a token says and never whether it may be used: times, and whether the key is still the
//! issuer's, are looked at on every hit. Only tokens that were verified are kept, so that nobody without
//! one can fill it.

use crate::credential::{MAX_TOKEN, check_form};
use crate::introspector::Introspector;
use crate::issuer::Trusted;
use crate::jws::Jws;
use crate::refusal::{Cause, Refusal};
use crate::said::Said;
use crate::token::{Verified, verify};
use aws_lc_rs::digest::SHA256;
use moka::sync::Cache;
use serde_json::Value;
use std::sync::Arc;
use stepup_contract::Authentication;

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

/// A SHA-256 digest.
pub(crate) type Digest = [u8; 32];

/// The digest of these bytes.
pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    let mut digest = [0; 32];
    digest.copy_from_slice(aws_lc_rs::digest::digest(&SHA256, bytes).as_ref());
    digest
}

/// The issuers, and the tokens of theirs that were verified.
pub(crate) struct Tokens {
    pub(crate) issuers: Vec<Arc<Trusted>>,
    /// By the digest of the signature, or of an opaque token as a whole.
    verified: Option<Cache<Digest, Arc<Verified>>>,
}

/// A token that has to be verified.
pub(crate) struct Unknown {
    digest: Option<Digest>,
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
                .weigher(move |_, token: &Arc<Verified>| weight(token).max(share))
                .build()
        });
        Self { issuers, verified }
    }

    /// What this token says, if it is known. Not whether it may be used now: that is for the caller
    /// to check, each time.
    pub(crate) fn known(&self, token: &[u8]) -> Result<Arc<Verified>, Unknown> {
        // One that is too long is known to nobody, and not worth digesting.
        let Some(verified) = self.verified.as_ref().filter(|_| token.len() <= MAX_TOKEN) else {
            return Err(Unknown { digest: None });
        };
        let (message, signature) = parts(token);
        let digest = digest_of(signature);
        match verified.get(&digest).filter(|known| *known.message == *message) {
            Some(known) if known.still_stands() => Ok(known),
            _ => Err(Unknown { digest: Some(digest) }),
        }
    }

    /// What this token says, from its issuer.
    pub(crate) async fn verify(
        &self,
        token: &[u8],
        unknown: Unknown,
        now: u64,
    ) -> Result<Arc<Verified>, Refusal> {
        let text = check_form(token)?;
        let mut verified = self.verify_anew(text, now).await?;
        let (Some(cache), Some(digest)) = (&self.verified, unknown.digest) else {
            return Ok(Arc::new(verified));
        };
        verified.message = parts(token).0.into();
        let verified = Arc::new(verified);
        cache.insert(digest, Arc::clone(&verified));
        Ok(verified)
    }

    /// The issuer of a JWT is the one that it names, and no other is asked. An opaque token names
    /// none; the one issuer that introspects is asked.
    async fn verify_anew(&self, token: &str, now: u64) -> Result<Verified, Cause> {
        if !Jws::has_form_of(token) {
            let issuer = self.issuers.iter().find(|issuer| issuer.introspector.is_some());
            let issuer = issuer.ok_or(Cause::InvalidToken("the token is not a signed JWT"))?;
            let read = |said: &Said| said.verified(issuer);
            return Introspector::introspect(issuer, token, true, now, read).await;
        }
        let jws = Jws::read(token)?;
        let named = jws.claims.get("iss").and_then(Value::as_str);
        let issuer = self
            .issuers
            .iter()
            .find(|issuer| named == Some(issuer.name.as_str()))
            .ok_or(Cause::InvalidToken("the token is of no issuer that is trusted here"))?;
        let verified = verify(jws, issuer, now).await?;
        if issuer.introspector.as_ref().is_some_and(Introspector::takes_jwts) {
            let read = |said: &Said| said.confirms(verified);
            return Introspector::introspect(issuer, token, false, now, read).await;
        }
        Ok(verified)
    }
}

/// What stands before a JWT's signature, and the signature. A token that does not begin like a JWT is
/// all signature, so that nothing of it is kept.
fn parts(token: &[u8]) -> (&[u8], &[u8]) {
    let dot = memchr::memrchr(b'.', token).filter(|_| token.starts_with(b"ey"));
    dot.map_or((&[], token), |dot| token.split_at(dot + 1))
}

/// About how many bytes a verified token takes, rather more than fewer.
fn weight(token: &Verified) -> u32 {
    // What is read from the claims is kept beside them, word by word; a vendor's methods are kept twice.
    let Authentication { acr, scopes, .. } = &token.authentication;
    let words = scopes.iter().chain(acr).map(|word| string(word)).sum::<usize>();
    let methods = token.amr.iter().map(|method| 2 * string(method)).sum::<usize>();
    let bytes = 1024 + token.message.len() + words + methods + tree(&token.claims);
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// About how many bytes a text of its own takes: the allocation has a size of its own, and 24 bytes point at it.
fn string(text: &str) -> usize {
    64 + text.len()
}

/// About how many bytes a JSON value takes as a tree.
fn tree(value: &Value) -> usize {
    match value {
        Value::String(text) => string(text),
        Value::Array(items) => 64 + items.iter().map(tree).sum::<usize>(),
        Value::Object(map) => {
            // A map is made of nodes with room for eleven, which may be half empty.
            let nodes = map.len().div_ceil(5) * 704;
            nodes + map.iter().map(|(name, value)| string(name) + tree(value)).sum::<usize>()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 32,
    }
}
