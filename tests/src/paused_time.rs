//! Time that moves only when a test says so, while real sockets keep working.

use std::future::Future;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Stops the clock of the current-thread runtime. tokio moves a paused clock when all tasks are idle, which they also
/// are while they wait for a socket; a running blocking task keeps tokio from moving the clock.
#[derive(Debug)]
pub struct PausedTime(
    #[expect(dead_code, reason = "dropping the sender ends the blocking task")] mpsc::Sender<()>,
);

impl PausedTime {
    /// Stops the clock until the end of the test.
    pub fn start() -> Self {
        let (sender, receiver) = mpsc::channel();
        tokio::task::spawn_blocking(move || receiver.recv());
        tokio::time::pause();
        Self(sender)
    }

    /// Moves the clock.
    pub async fn advance(&self, by: Duration) {
        tokio::time::advance(by).await;
    }
}

/// Waits until a condition holds, in real time.
///
/// # Panics
/// If the condition does not hold within 20 seconds.
pub async fn eventually<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < Duration::from_secs(20), "the condition never holds");
        let pause = tokio::task::spawn_blocking(|| thread::sleep(Duration::from_millis(5)));
        pause.await.expect("no panic");
    }
}
