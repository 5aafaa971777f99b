//! A circuit breaker. After several consecutive failures no request is sent to a peer for a while, so that a
//! peer that is down is not flooded and no request waits for it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Consecutive failures that open the circuit.
const FAILURES: u32 = 5;

/// The first and the longest time that the circuit stays open.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A circuit breaker for one peer.
#[derive(Debug, Default)]
pub(crate) struct CircuitBreaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open: Option<Open>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    until: Instant,
    pause: Duration,
    /// Whether a trial request was allowed.
    trial: bool,
}

impl CircuitBreaker {
    /// Whether a request may be sent now; if not, the time until the next attempt. When the pause is over, one
    /// trial request is allowed and the pause starts again for all others.
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

    /// Like [`check`](Self::check), for a request that will be sent later: does not count as the trial request.
    pub(crate) fn check_later(&self) -> Result<(), Duration> {
        let now = Instant::now();
        match self.state().open {
            Some(open) if now < open.until => Err(open.until - now),
            _ => Ok(()),
        }
    }

    /// The peer has answered correctly.
    pub(crate) fn succeeded(&self) {
        *self.state() = State::default();
    }

    /// The peer has answered, but the answer does not show whether the peer works. Closes the circuit and keeps
    /// the failure count.
    pub(crate) fn inconclusive(&self) {
        self.state().open = None;
    }

    /// The peer has not answered, or has answered with an error of its own.
    pub(crate) fn failed(&self) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        let pause = match state.open {
            None if state.failures >= FAILURES => FIRST_PAUSE,
            Some(Open { pause, trial: true, .. }) => (pause * 2).min(LONGEST_PAUSE),
            // Requests that were already running when the circuit opened add no information.
            None | Some(_) => return,
        };
        state.open = Some(Open { until: Instant::now() + pause, pause, trial: false });
    }

    /// A poisoned lock is usable: the state is plain data and always consistent.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_circuit_opens_after_consecutive_failures_and_allows_one_trial() {
        let breaker = CircuitBreaker::default();
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
        assert_eq!(breaker.check(), Err(FIRST_PAUSE), "earlier requests change nothing");
        tokio::time::advance(FIRST_PAUSE).await;
        assert!(breaker.check().is_ok(), "one trial is allowed");
        assert!(breaker.check().is_err(), "other requests wait for its result");
        breaker.failed();
        assert_eq!(breaker.check(), Err(2 * FIRST_PAUSE), "the pause grows");
        tokio::time::advance(2 * FIRST_PAUSE).await;
        assert!(breaker.check().is_ok());
        breaker.succeeded();
        assert!(breaker.check().is_ok() && breaker.check().is_ok());
        for _ in 0..FAILURES {
            breaker.inconclusive();
            assert!(breaker.check().is_ok());
            breaker.failed();
        }
        tokio::time::advance(FIRST_PAUSE).await;
        assert!(breaker.check().is_ok());
        breaker.inconclusive();
        assert!(breaker.check().is_ok() && breaker.check().is_ok());
        breaker.failed();
        assert!(breaker.check().is_err(), "the next failure opens the circuit");
    }
}
