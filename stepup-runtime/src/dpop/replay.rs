//! The replay cache for proofs (RFC 9449 §11.1). It has two generations, each for the lifetime of a proof. When the
//! cache is full, new proofs are refused: forgetting an old proof would allow its replay. No client can fill the whole
//! cache.

use crate::support::digest::Digest;
use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::{Mutex, PoisonError};

/// One caller can use the capacity divided by this, with any number of keys.
const SHARE: usize = 8;

/// Remembers proofs by their digests.
#[derive(Debug)]
pub(crate) struct ReplayCache {
    /// Seconds for which a proof must be remembered.
    window: u64,
    /// The maximum number of proofs in one generation.
    capacity: usize,
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    started: u64,
    current: HashSet<Digest>,
    previous: HashSet<Digest>,
    /// How many proofs of the current generation each caller has made.
    per_caller: HashMap<Digest, usize>,
}

/// The result of inserting a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplayCheck {
    /// The proof is new.
    New,
    /// The proof was used before.
    Replayed,
    /// The cache is full, or the caller has used up its share.
    Full,
}

impl ReplayCache {
    pub(crate) fn new(window: u64, capacity: usize) -> Self {
        Self { window, capacity, generations: Mutex::default() }
    }

    /// Inserts a valid proof of this caller.
    pub(crate) fn insert(&self, proof: Digest, caller: Digest, now: u64) -> ReplayCheck {
        // A poisoned lock is still usable: the sets are plain data and always consistent.
        let mut all = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(all.started) >= self.window {
            // Only one generation is dropped, even after a long time: the clock may have jumped, and may jump back.
            all.previous = mem::take(&mut all.current);
            all.per_caller.clear();
            all.started = now;
        } else if all.started.saturating_sub(now) > self.window {
            all.started = now;
        }
        let full = all.current.len() >= self.capacity;
        let share = self.capacity.div_ceil(SHARE);
        if all.current.contains(&proof) || all.previous.contains(&proof) {
            ReplayCheck::Replayed
        } else if full || all.per_caller.get(&caller).is_some_and(|count| *count >= share) {
            ReplayCheck::Full
        } else {
            all.current.insert(proof);
            *all.per_caller.entry(caller).or_default() += 1;
            ReplayCheck::New
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_remembered_for_the_window_and_a_full_cache_accepts_no_new_one() {
        let cache = ReplayCache::new(90, 2);
        let digest = |n| [n; 32];
        assert_eq!(cache.insert(digest(1), digest(11), 1000), ReplayCheck::New);
        assert_eq!(cache.insert(digest(1), digest(11), 1000), ReplayCheck::Replayed);
        assert_eq!(
            cache.insert(digest(1), digest(11), 990),
            ReplayCheck::Replayed,
            "also when the clock goes back"
        );
        assert_eq!(cache.insert(digest(2), digest(12), 1089), ReplayCheck::New);
        assert_eq!(cache.insert(digest(3), digest(13), 1089), ReplayCheck::Full);
        assert_eq!(cache.insert(digest(1), digest(11), 1090), ReplayCheck::Replayed);
        assert_eq!(
            cache.insert(digest(2), digest(12), 1178),
            ReplayCheck::Replayed,
            "89 seconds later"
        );
        assert_eq!(
            cache.insert(digest(1), digest(11), 1180),
            ReplayCheck::New,
            "after the window the proof has expired anyway"
        );
    }

    #[test]
    fn a_clock_jump_forgets_no_proof_too_early_and_old_ones_still_expire() {
        let cache = ReplayCache::new(90, 2);
        let digest = |n| [n; 32];
        assert_eq!(cache.insert(digest(1), digest(11), 1000), ReplayCheck::New);
        assert_eq!(cache.insert(digest(2), digest(12), 900_000), ReplayCheck::New, "ahead");
        assert_eq!(cache.insert(digest(1), digest(11), 1001), ReplayCheck::Replayed, "and back");
        assert_eq!(cache.insert(digest(3), digest(13), 1001), ReplayCheck::New);
        assert_eq!(cache.insert(digest(4), digest(14), 1002), ReplayCheck::Full);
        assert_eq!(cache.insert(digest(4), digest(14), 1091), ReplayCheck::New);
    }

    #[test]
    fn one_caller_can_use_only_its_share() {
        let cache = ReplayCache::new(90, 16);
        let digest = |n| [n; 32];
        for n in 0..2 {
            assert_eq!(cache.insert(digest(n), digest(99), 1000), ReplayCheck::New);
        }
        assert_eq!(cache.insert(digest(3), digest(99), 1000), ReplayCheck::Full);
        assert_eq!(cache.insert(digest(0), digest(99), 1000), ReplayCheck::Replayed);
        assert_eq!(cache.insert(digest(3), digest(98), 1000), ReplayCheck::New, "another caller");
        assert_eq!(cache.insert(digest(4), digest(99), 1090), ReplayCheck::New, "later");
    }
}
