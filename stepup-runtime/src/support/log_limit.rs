//! A rate limit for warnings that clients can cause.

use std::sync::atomic::{AtomicU64, Ordering};

/// Seconds between two warnings.
const INTERVAL: u64 = 10;

/// Allows one warning per interval and counts those that were suppressed. Takes no lock.
#[derive(Debug, Default)]
pub(crate) struct LogLimit {
    /// The earliest time of the next warning, in seconds since the epoch.
    next: AtomicU64,
    suppressed: AtomicU64,
}

impl LogLimit {
    /// Whether a warning may be logged now, and how many were suppressed since the last one.
    pub(crate) fn allow(&self, now: u64) -> Option<u64> {
        let next = self.next.load(Ordering::Relaxed);
        let later = now.saturating_add(INTERVAL);
        // After the clock was set back, warnings must not stay suppressed for long.
        let due = now >= next || next > later;
        let set = |next: &AtomicU64, old| {
            next.compare_exchange(old, later, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        if due && set(&self.next, next) {
            return Some(self.suppressed.swap(0, Ordering::Relaxed));
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_warning_per_interval_is_allowed_and_the_suppressed_ones_are_counted() {
        let limit = LogLimit::default();
        assert_eq!(limit.allow(100), Some(0));
        for second in [100, 100, 109] {
            assert_eq!(limit.allow(second), None);
        }
        assert_eq!(limit.allow(110), Some(3));
        assert_eq!(limit.allow(111), None);
        assert_eq!(limit.allow(50), Some(1), "the clock was set back");
    }
}
