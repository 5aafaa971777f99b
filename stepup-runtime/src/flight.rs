//! Work that many requests wait for and that is done once. It runs in a task of its own, so that no
//! client's disconnect cancels it, and nobody holds a lock while it runs.

use std::future::Future;
use tokio::sync::watch;

/// Work under way; clones wait for the same.
#[derive(Debug, Clone)]
pub(crate) struct Flight<T>(watch::Receiver<Option<T>>);

impl<T: Clone + Send + Sync + 'static> Flight<T> {
    /// Begins the work.
    pub(crate) fn start(work: impl Future<Output = T> + Send + 'static) -> Self {
        let (landing, flight) = watch::channel(None);
        tokio::spawn(async move {
            // Nobody waits any more: the work was done for whoever asks next.
            let _ = landing.send(Some(work.await));
        });
        Self(flight)
    }

    /// Whether it is still under way; not if it has ended, in whatever way.
    pub(crate) fn is_under_way(&self) -> bool {
        self.0.borrow().is_none() && self.0.has_changed().is_ok()
    }

    /// Waits for the outcome. `None` when the work has ended without one, by a panic or with its
    /// runtime.
    pub(crate) async fn landed(mut self) -> Option<T> {
        self.0.wait_for(Option::is_some).await.ok()?.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_who_wait_get_the_one_outcome_and_a_panic_gives_none() {
        let flight = Flight::start(async { 7 });
        let (one, two) = tokio::join!(flight.clone().landed(), flight.clone().landed());
        assert_eq!((one, two), (Some(7), Some(7)));
        assert!(!flight.is_under_way());
        assert_eq!(flight.landed().await, Some(7), "also who comes late");

        let crashed = Flight::<i32>::start(async { panic!("on purpose") });
        assert_eq!(crashed.clone().landed().await, None);
        assert!(!crashed.is_under_way());
    }
}
