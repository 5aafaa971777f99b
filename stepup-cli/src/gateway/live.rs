//! The contract at hand: read again when its file changes. A file that is not a contract, or that cannot be
//! enforced, changes nothing.

use crate::failure::Failure;
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
    /// Why the file could not even be read.
    unread: Option<String>,
    /// Whether it holds what is not in force.
    rejected: bool,
    enforcer: Arc<ArcSwap<Enforcer>>,
    step_up: StepUp,
    metrics: Arc<Metrics>,
}

/// Why a changed file is not in force.
struct Rejected {
    why: String,
    /// Whether it could not be read, for which the moment may be to blame and not the file.
    unread: bool,
}

impl From<String> for Rejected {
    fn from(why: String) -> Self {
        Self { why, unread: false }
    }
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
            unread: None,
            rejected: false,
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
            if look != self.seen || self.unread.is_some() {
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
                return Err(format!("{} is not a regular file", path.display()).into());
            }
            let contract = input::contract(&path).map_err(|why| Rejected {
                why: why.to_string(),
                unread: matches!(why, Failure::Unreadable { .. }),
            })?;
            let digest = contract.digest();
            if digest == old {
                return Ok(None);
            }
            step_up.check_contract(&contract).map_err(|why| why.to_string())?;
            let enforcer = Enforcer::new(&contract, step_up);
            Ok::<_, Rejected>(Some((contract, digest, enforcer)))
        });
        let read = read.await.map_err(|why| why.to_string().into()).and_then(|read| read);
        let before = self.unread.take();
        let rejected = std::mem::replace(&mut self.rejected, read.is_err());
        match read {
            Ok(None) if rejected => {
                tracing::info!(digest = self.digest, "the file holds the contract in force again");
            }
            Ok(None) => {
                tracing::debug!(digest = self.digest, "the contract's file holds what is in force");
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
            Err(Rejected { why, unread }) => {
                self.unread = unread.then(|| why.clone());
                // It is told once.
                if before.as_ref() == Some(&why) {
                    return;
                }
                self.metrics.reloaded(false);
                tracing::error!(
                    why = shortened(&why),
                    digest = self.digest,
                    "the changed contract was rejected; the old one stays in force"
                );
            }
        }
    }
}

/// The first of these lines as one.
fn shortened(lines: &str) -> String {
    const SHOWN: usize = 4;
    let line = |line: &str| line.strip_prefix("error: ").unwrap_or(line).to_owned();
    let mut shown: Vec<String> = lines.lines().take(SHOWN).map(line).collect();
    let more = lines.lines().skip(SHOWN).count();
    shown.extend((more > 0).then(|| format!("and {more} more, which `stepup check` tells")));
    shown.join("; ")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_one_line_of_a_log() {
        assert_eq!(shortened("error: a.json:1: x"), "a.json:1: x");
        let many = "error: 1\nerror: 2\nerror: 3\nerror: 4\nerror: 5\nerror: 6";
        assert_eq!(shortened(many), "1; 2; 3; 4; and 2 more, which `stepup check` tells");
    }
}
