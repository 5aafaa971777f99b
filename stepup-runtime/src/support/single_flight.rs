//! Work that many requests wait for and that is done once. The work runs in its own task, so that no
//! client's disconnect cancels it, and no lock is held while it runs.

use std::future::Future;
use tokio::sync::watch;

/// Running work; clones wait for the same result.
#[derive(Debug, Clone)]
pub(crate) struct SingleFlight<T>(watch::Receiver<Option<T>>);

impl<T: Clone + Send + Sync + 'static> SingleFlight<T> {
    /// Starts the work.
    pub(crate) fn start(work: impl Future<Output = T> + Send + 'static) -> Self {
        let (sender, receiver) = watch::channel(None);
        tokio::spawn(async move {
            // The send fails if all waiting requests are gone. What the work has stored still helps later requests.
            let _ = sender.send(Some(work.await));
        });
        Self(receiver)
    }

    /// Whether the work is still running. False after it has ended for any reason.
    pub(crate) fn is_running(&self) -> bool {
        self.0.borrow().is_none() && self.0.has_changed().is_ok()
    }

    /// Waits for the result. `None` when the work ended without one: it panicked or its runtime stopped.
    pub(crate) async fn wait(mut self) -> Option<T> {
        self.0.wait_for(Option::is_some).await.ok()?.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_waiter_gets_the_same_result_and_a_panic_gives_none() {
        let flight = SingleFlight::start(async { 7 });
        let (one, two) = tokio::join!(flight.clone().wait(), flight.clone().wait());
        assert_eq!((one, two), (Some(7), Some(7)));
        assert!(!flight.is_running());
        assert_eq!(flight.wait().await, Some(7), "also for a late waiter");

        let crashed = SingleFlight::<i32>::start(async { panic!("on purpose") });
        assert_eq!(crashed.clone().wait().await, None);
        assert!(!crashed.is_running());
    }
}
