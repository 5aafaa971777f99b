//! A circuit breaker: after some failures in a row nothing is asked for a while, so that a peer that
//! is down is not asked by every request, and no request waits for it in vain.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Failures in a row that open it.
const FAILURES: u32 = 5;

/// The first and the longest time that it stays open.
const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open: Option<Open>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    until: Instant,
    pause: Duration,
    /// Whether one was let through to try.
    trial: bool,
}

impl Breaker {
    /// Whether to ask now; else the time until it makes sense. When the pause is over one is let
    /// through to try, and the pause begins anew for all others.
    pub(crate) fn check(&self) -> Result<(), Duration> {
        let now = Instant::now();
        let mut state = self.state();
        let Some(open) = &mut state.open else { return Ok(()) };
        if now < open.until {
            return Err(open.until - now);
        }
        open.until = now + open.pause;
        open.trial = true;
        Ok(())
    }

    /// The peer has answered.
    pub(crate) fn succeeded(&self) {
        *self.state() = State::default();
    }

    /// The peer has answered, and whether it is in order is not to be told from that. It may be asked further; of what
    /// has failed before nothing is taken back.
    pub(crate) fn answered(&self) {
        self.state().open = None;
    }

    /// The peer has not answered, or not as it should.
    pub(crate) fn failed(&self) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        let pause = match state.open {
            None if state.failures >= FAILURES => FIRST,
            Some(Open { pause, trial: true, .. }) => (pause * 2).min(LONGEST),
            // Those that were under way when it opened say nothing new.
            None | Some(_) => return,
        };
        state.open = Some(Open { until: Instant::now() + pause, pause, trial: false });
    }

    /// A poisoned lock holds plain data that is right at any time.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row_and_lets_one_through_to_try() {
        let breaker = Breaker::default();
        for _ in 0..FAILURES - 1 {
            breaker.failed();
        }
        breaker.succeeded();
        for _ in 0..FAILURES {
            assert!(breaker.check().is_ok());
            breaker.failed();
        }
        for _ in 0..10 {
            breaker.failed();
        }
        assert_eq!(breaker.check(), Err(FIRST), "whatever was under way changes nothing");
        tokio::time::advance(FIRST).await;
        assert!(breaker.check().is_ok(), "one may try");
        assert!(breaker.check().is_err(), "the others wait for it");
        breaker.failed();
        assert_eq!(breaker.check(), Err(2 * FIRST), "the pause grows");
        tokio::time::advance(2 * FIRST).await;
        assert!(breaker.check().is_ok());
        breaker.succeeded();
        assert!(breaker.check().is_ok() && breaker.check().is_ok());
        for _ in 0..FAILURES {
            breaker.answered();
            assert!(breaker.check().is_ok());
            breaker.failed();
        }
        tokio::time::advance(FIRST).await;
        assert!(breaker.check().is_ok());
        breaker.answered();
        assert!(breaker.check().is_ok() && breaker.check().is_ok());
        breaker.failed();
        assert!(breaker.check().is_err(), "the next failure is one too many");
    }
}
