//! The shutdown signal.

use std::io;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// A shutdown signal. Clones receive the same signal.
#[derive(Debug, Clone)]
pub(crate) struct Shutdown(Option<watch::Receiver<bool>>);

impl Shutdown {
    /// A signal that never arrives.
    pub(crate) fn never() -> Self {
        Self(None)
    }

    /// The first SIGTERM or SIGINT.
    pub(crate) fn on_signals() -> io::Result<Self> {
        let (sender, receiver) = watch::channel(false);
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            // The send fails if all receivers are gone.
            let _ = sender.send(true);
        });
        Ok(Self(Some(receiver)))
    }

    /// This signal, delayed.
    pub(crate) fn delayed(&self, delay: Duration) -> Self {
        let (sender, receiver) = watch::channel(false);
        let mut signal = self.clone();
        tokio::spawn(async move {
            signal.wait().await;
            tokio::time::sleep(delay).await;
            // The send fails if all receivers are gone.
            let _ = sender.send(true);
        });
        Self(Some(receiver))
    }

    /// Whether the signal has arrived.
    pub(crate) fn has_arrived(&self) -> bool {
        self.0.as_ref().is_some_and(|signal| *signal.borrow())
    }

    /// Waits for the signal.
    pub(crate) async fn wait(&mut self) {
        match &mut self.0 {
            // Without its sender the signal could never arrive, so that counts as the signal.
            Some(signal) => drop(signal.wait_for(|arrived| *arrived).await),
            None => std::future::pending().await,
        }
    }
}
