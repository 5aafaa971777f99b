//! A bounded set of digests that expire.

use crate::support::digest::Digest;
use quick_cache::sync::Cache;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// Digests with a common time to live. If the set is full, a digest that was rarely looked up is dropped.
pub(crate) struct ExpiringSet {
    inserted: Cache<Digest, Instant>,
    time_to_live: Duration,
}

impl ExpiringSet {
    pub(crate) fn new(capacity: usize, time_to_live: Duration) -> Self {
        Self { inserted: Cache::new(capacity), time_to_live }
    }

    pub(crate) fn insert(&self, digest: Digest) {
        self.inserted.insert(digest, Instant::now());
    }

    pub(crate) fn contains(&self, digest: &Digest) -> bool {
        self.inserted.get(digest).is_some_and(|inserted| inserted.elapsed() < self.time_to_live)
    }
}

impl fmt::Debug for ExpiringSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExpiringSet").field("len", &self.inserted.len()).finish_non_exhaustive()
    }
}
