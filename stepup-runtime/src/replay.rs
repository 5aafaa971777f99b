//! Which proofs were seen before (RFC 9449 §11.1). Two generations, each for as long as a proof can be
//! used; when there is no room a new proof is refused, since forgetting an old one would let it be used
//! again. No client can take all the room.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::{Mutex, PoisonError};

/// What stands for one proof, and for the caller whose it is: a digest.
pub(crate) type Mark = [u8; 32];

/// The part of the room that one caller can take, with however many keys.
const SHARE: usize = 8;

/// See the module.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Seconds for which a proof must be remembered.
    window: u64,
    /// Most proofs in one generation.
    capacity: usize,
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    began: u64,
    young: HashSet<Mark>,
    old: HashSet<Mark>,
    /// How many of the young ones are each caller's.
    made: HashMap<Mark, usize>,
}

/// What becomes of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    First,
    Again,
    /// So many proofs are remembered, of all or of this caller, that no further one can be.
    Full,
}

impl Seen {
    pub(crate) fn new(window: u64, capacity: usize) -> Self {
        Self { window, capacity, generations: Mutex::default() }
    }

    /// Takes note of a proof that is otherwise in order, of this caller.
    pub(crate) fn see(&self, mark: Mark, caller: Mark, now: u64) -> Sight {
        // A poisoned lock holds plain data that is right at any time.
        let mut all = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(all.began) >= self.window {
            // Never both at once, however far the clock has jumped: it may jump back.
            all.old = mem::take(&mut all.young);
            all.made.clear();
            all.began = now;
        } else if all.began.saturating_sub(now) > self.window {
            all.began = now;
        }
        let full = all.young.len() >= self.capacity;
        let most = self.capacity.div_ceil(SHARE);
        if all.young.contains(&mark) || all.old.contains(&mark) {
            Sight::Again
        } else if full || all.made.get(&caller).is_some_and(|made| *made >= most) {
            Sight::Full
        } else {
            all.young.insert(mark);
            *all.made.entry(caller).or_default() += 1;
            Sight::First
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_remembered_for_the_window_and_a_full_memory_lets_no_new_one_in() {
        let seen = Seen::new(90, 2);
        let mark = |n| [n; 32];
        assert_eq!(seen.see(mark(1), mark(11), 1000), Sight::First);
        assert_eq!(seen.see(mark(1), mark(11), 1000), Sight::Again);
        assert_eq!(seen.see(mark(1), mark(11), 990), Sight::Again, "also when the clock goes back");
        assert_eq!(seen.see(mark(2), mark(12), 1089), Sight::First);
        assert_eq!(seen.see(mark(3), mark(13), 1089), Sight::Full);
        assert_eq!(seen.see(mark(1), mark(11), 1090), Sight::Again);
        assert_eq!(seen.see(mark(2), mark(12), 1178), Sight::Again, "89 seconds later");
        assert_eq!(
            seen.see(mark(1), mark(11), 1180),
            Sight::First,
            "after the window it has aged anyway"
        );
    }

    #[test]
    fn a_clock_that_jumps_loses_no_proof_and_goes_on_forgetting() {
        let seen = Seen::new(90, 2);
        let mark = |n| [n; 32];
        assert_eq!(seen.see(mark(1), mark(11), 1000), Sight::First);
        assert_eq!(seen.see(mark(2), mark(12), 900_000), Sight::First, "ahead");
        assert_eq!(seen.see(mark(1), mark(11), 1001), Sight::Again, "and back");
        assert_eq!(seen.see(mark(3), mark(13), 1001), Sight::First);
        assert_eq!(seen.see(mark(4), mark(14), 1002), Sight::Full);
        assert_eq!(seen.see(mark(4), mark(14), 1091), Sight::First);
    }

    #[test]
    fn one_caller_takes_its_share_of_the_room_only() {
        let seen = Seen::new(90, 16);
        let mark = |n| [n; 32];
        for n in 0..2 {
            assert_eq!(seen.see(mark(n), mark(99), 1000), Sight::First);
        }
        assert_eq!(seen.see(mark(3), mark(99), 1000), Sight::Full);
        assert_eq!(seen.see(mark(0), mark(99), 1000), Sight::Again);
        assert_eq!(seen.see(mark(3), mark(98), 1000), Sight::First, "another caller");
        assert_eq!(seen.see(mark(4), mark(99), 1090), Sight::First, "later");
    }
}
