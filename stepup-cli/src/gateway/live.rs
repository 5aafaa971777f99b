//! The contract at hand: read again when its file changes. A file that is not a contract, or that cannot be
//! enforced, changes nothing.

use crate::gateway::metrics::Metrics;
use crate::input;
use arc_swap::ArcSwap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use stepup_contract::Contract;
use stepup_runtime::{Enforcer, StepUp};
use tokio::task::spawn_blocking;

/// See the module.
pub(crate) struct Live {
    path: PathBuf,
    /// What the file looked like when it was last read; nothing where there was none.
    seen: Option<Look>,
    digest: String,
    enforcer: Arc<ArcSwap<Enforcer>>,
    step_up: StepUp,
    metrics: Arc<Metrics>,
}

/// After this time the questions that an old contract was asked for are answered. Whoever lets go of it last has to
/// take it apart, which takes long where it is large, and should not be one of those who answer.
const LAST_QUESTIONS: Duration = Duration::from_secs(5);

/// How a file looks from outside: its time, its length, and which file it is, with which rights.
type Look = (SystemTime, u64, (u64, i64, i64));

impl Live {
    pub(crate) fn new(
        path: PathBuf,
        contract: &Contract,
        step_up: StepUp,
        metrics: Arc<Metrics>,
    ) -> Self {
        let enforcer = Enforcer::new(contract, step_up.clone());
        metrics.in_force(contract);
        let digest = contract.digest();
        tracing::info!(digest, endpoints = contract.endpoints().len(), "the contract is in force");
        // Looked at anew at once, lest a change between reading and here be missed.
        Self {
            path,
            seen: None,
            digest,
            enforcer: Arc::new(ArcSwap::from_pointee(enforcer)),
            step_up,
            metrics,
        }
    }

    /// Where the enforcer of the contract at hand is found.
    pub(crate) fn enforcer(&self) -> Arc<ArcSwap<Enforcer>> {
        Arc::clone(&self.enforcer)
    }

    /// Looks at the file at this interval, and does not end.
    pub(crate) async fn follow(mut self, interval: Duration) {
        loop {
            let path = self.path.clone();
            let look = spawn_blocking(move || look(&path)).await.ok().flatten();
            // One that is gone is read as well, to be told of.
            if look != self.seen {
                self.seen = look;
                self.read().await;
            }
            tokio::time::sleep(interval).await;
        }
    }

    async fn read(&mut self) {
        let (path, step_up, old) = (self.path.clone(), self.step_up.clone(), self.digest.clone());
        // All that a large contract takes time for is done beside the threads that answer.
        let read = spawn_blocking(move || {
            // A pipe would be waited for.
            if fs::metadata(&path).is_ok_and(|there| !there.is_file()) {
                return Err(format!("{} is not a regular file", path.display()));
            }
            let contract = input::contract(&path).map_err(|why| why.to_string())?;
            let digest = contract.digest();
            if digest == old {
                return Ok(None);
            }
            step_up.check_contract(&contract).map_err(|why| why.to_string())?;
            let enforcer = Enforcer::new(&contract, step_up);
            Ok::<_, String>(Some((contract, digest, enforcer)))
        });
        match read.await.map_err(|why| why.to_string()).and_then(|read| read) {
            Ok(None) => {
                tracing::info!(digest = self.digest, "the contract's file holds what is in force");
            }
            Ok(Some((contract, digest, enforcer))) => {
                self.digest = digest;
                let old = self.enforcer.swap(Arc::new(enforcer));
                self.metrics.in_force(&contract);
                self.metrics.reloaded(true);
                tracing::info!(
                    digest = self.digest,
                    endpoints = contract.endpoints().len(),
                    "a new contract is in force"
                );
                tokio::spawn(async move {
                    tokio::time::sleep(LAST_QUESTIONS).await;
                    spawn_blocking(move || drop((contract, old)));
                });
            }
            Err(why) => {
                self.metrics.reloaded(false);
                tracing::error!(
                    why,
                    digest = self.digest,
                    "the changed contract was rejected; the old one stays in force"
                );
            }
        }
    }
}

fn look(path: &std::path::Path) -> Option<Look> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), identity(&metadata)))
}

#[cfg(unix)]
fn identity(metadata: &fs::Metadata) -> (u64, i64, i64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn identity(_: &fs::Metadata) -> (u64, i64, i64) {
    (0, 0, 0)
}
