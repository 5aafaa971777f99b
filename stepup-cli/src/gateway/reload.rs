//! The current contract, loaded again when its file changes. A file that is not a contract, or one that cannot be
//! enforced, changes nothing. A contract that authorizes more callers is reported, or refused.

use crate::contract_file::input;
use crate::gateway::metrics::Metrics;
use crate::report::display::visible;
use crate::report::failure::Failure;
use arc_swap::ArcSwap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use stepup_contract::{Axis, Change, Contract, Kind, Unlisted, compare};
use stepup_runtime::{ContractEnforcer, StepUp};
use tokio::task::spawn_blocking;

/// Watches the contract's file and replaces the current contract.
pub(crate) struct ContractReload {
    path: PathBuf,
    /// The file's state when it was last read; `None` if there was no file.
    last: Option<FileState>,
    digest: String,
    /// The current contract as JSON, which needs less memory than its types.
    json: Arc<str>,
    /// Whether a contract that authorizes more callers is rejected.
    refuse_weaker: bool,
    /// Why the file was rejected at the last attempt.
    rejected: Option<String>,
    /// Whether the file could not be read at the last attempt.
    read_failed: bool,
    enforcer: Arc<ArcSwap<ContractEnforcer>>,
    step_up: StepUp,
    metrics: Arc<Metrics>,
}

/// Why a changed file was rejected.
struct Rejected {
    reason: String,
    /// Whether the file could not be read, which may be temporary.
    is_read_error: bool,
    /// Whether the contract authorizes more callers.
    is_weaker: bool,
}

impl From<String> for Rejected {
    fn from(reason: String) -> Self {
        Self { reason, is_read_error: false, is_weaker: false }
    }
}

/// After this time all checks with an old contract are answered. Dropping a large contract takes long, so it is dropped
/// on a separate thread after this time.
const LAST_CHECKS: Duration = Duration::from_secs(5);

/// A file's modification time, length and identity.
type FileState = (SystemTime, u64, (u64, i64, i64));

impl ContractReload {
    pub(crate) fn new(
        path: PathBuf,
        contract: &Contract,
        step_up: StepUp,
        metrics: Arc<Metrics>,
        refuse_weaker: bool,
    ) -> Self {
        let enforcer = ContractEnforcer::new(contract, step_up.clone());
        metrics.contract_loaded(contract);
        let digest = contract.digest();
        tracing::info!(digest, endpoints = contract.endpoints().len(), "the contract is loaded");
        // `last` is empty, so that a change between the first read and now is noticed.
        Self {
            path,
            last: None,
            digest,
            json: contract.to_json().into(),
            refuse_weaker,
            rejected: None,
            read_failed: false,
            enforcer: Arc::new(ArcSwap::from_pointee(enforcer)),
            step_up,
            metrics,
        }
    }

    /// The enforcer of the current contract.
    pub(crate) fn enforcer(&self) -> Arc<ArcSwap<ContractEnforcer>> {
        Arc::clone(&self.enforcer)
    }

    /// Checks the file at this interval, forever.
    pub(crate) async fn follow(mut self, interval: Duration) {
        loop {
            let path = self.path.clone();
            let state = spawn_blocking(move || file_state(&path)).await.ok().flatten();
            // A missing file counts as changed, so that the error is logged.
            if state != self.last || self.read_failed {
                self.last = state;
                self.read().await;
            }
            tokio::time::sleep(interval).await;
        }
    }

    async fn read(&mut self) {
        let (path, step_up, old) = (self.path.clone(), self.step_up.clone(), self.digest.clone());
        let (json, refuse_weaker) = (Arc::clone(&self.json), self.refuse_weaker);
        let metrics = Arc::clone(&self.metrics);
        // Loading a large contract takes long, so it runs on another thread than the checks.
        let read = spawn_blocking(move || {
            // Reading a pipe could block.
            if fs::metadata(&path).is_ok_and(|metadata| !metadata.is_file()) {
                return Err(format!("{} is not a regular file", path.display()).into());
            }
            let contract = input::contract(&path).map_err(|failure| Rejected {
                reason: failure.to_string(),
                is_read_error: matches!(failure, Failure::Unreadable { .. }),
                is_weaker: false,
            })?;
            let digest = contract.digest();
            if digest == old {
                return Ok(None);
            }
            step_up.check_contract(&contract).map_err(|error| error.to_string())?;
            if let Some(weakened) = weakened(&json, &contract) {
                if refuse_weaker {
                    let reason =
                        format!("it authorizes more callers (--refuse-weaker): {weakened}");
                    return Err(Rejected { is_weaker: true, ..reason.into() });
                }
                metrics.weakened(true);
                tracing::warn!(
                    digest,
                    weakened,
                    "the new contract authorizes more callers than the old one"
                );
            }
            let enforcer = ContractEnforcer::new(&contract, step_up);
            Ok::<_, Rejected>(Some((contract, digest, enforcer)))
        });
        let read = read.await.map_err(|error| error.to_string().into()).and_then(|read| read);
        let before = self.rejected.take();
        self.read_failed = false;
        match read {
            Ok(None) if before.is_some() => {
                tracing::info!(
                    digest = self.digest,
                    "the file contains the current contract again"
                );
            }
            Ok(None) => {
                tracing::debug!(digest = self.digest, "the file contains the current contract");
            }
            Ok(Some((contract, digest, enforcer))) => {
                self.digest = digest;
                self.json = contract.to_json().into();
                let old = self.enforcer.swap(Arc::new(enforcer));
                self.metrics.contract_loaded(&contract);
                self.metrics.reloaded(true);
                tracing::info!(
                    digest = self.digest,
                    endpoints = contract.endpoints().len(),
                    "a new contract is loaded"
                );
                tokio::spawn(async move {
                    tokio::time::sleep(LAST_CHECKS).await;
                    spawn_blocking(move || drop((contract, old)));
                });
            }
            Err(Rejected { reason, is_read_error, is_weaker }) => {
                self.read_failed = is_read_error;
                self.rejected = Some(reason.clone());
                // The same error is logged once.
                if before.as_ref() == Some(&reason) {
                    return;
                }
                self.metrics.reloaded(false);
                if is_weaker {
                    self.metrics.weakened(false);
                }
                tracing::error!(
                    reason = first_lines(&reason),
                    digest = self.digest,
                    "the changed contract was rejected; the old one stays in use"
                );
            }
        }
    }
}

/// What the new contract authorizes in addition, as `stepup diff` reports it; `None` if nothing.
fn weakened(old: &str, new: &Contract) -> Option<String> {
    const MOST: usize = 5;
    let changes = match Contract::parse(old).map(|old| compare(&old, new)) {
        Ok(Ok(changes)) => changes,
        Ok(Err(error)) => return Some(format!("perhaps, because {error}")),
        Err(errors) => {
            return Some(format!("perhaps, because the old contract is unreadable: {errors}"));
        }
    };
    // A contract cannot say whether the handler of a removed endpoint still exists, but this gateway refuses its requests.
    let refused = |change: &Change| change.kind == Kind::Gone && new.unlisted() == Unlisted::Deny;
    let weakened =
        changes.iter().filter(|change| change.axis() == Axis::Weakened && !refused(change));
    let mut weakened = weakened
        .map(|change| visible(&format!("{} {}", change.subject(), change.sentences().join(", "))));
    let mut text = weakened.by_ref().take(MOST).collect::<Vec<_>>().join("; ");
    let more = weakened.count();
    if more > 0 {
        text.push_str(&format!("; and {more} more, which `stepup diff` lists"));
    }
    (!text.is_empty()).then_some(text)
}

/// The first lines, joined.
fn first_lines(lines: &str) -> String {
    const LINES: usize = 4;
    let line = |line: &str| line.strip_prefix("error: ").unwrap_or(line).to_owned();
    let mut first: Vec<String> = lines.lines().take(LINES).map(line).collect();
    let more = lines.lines().skip(LINES).count();
    first.extend((more > 0).then(|| format!("and {more} more, which `stepup check` lists")));
    first.join("; ")
}

fn file_state(path: &std::path::Path) -> Option<FileState> {
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
    fn the_errors_of_a_contract_become_one_log_line() {
        assert_eq!(first_lines("error: a.json:1: x"), "a.json:1: x");
        let many = "error: 1\nerror: 2\nerror: 3\nerror: 4\nerror: 5\nerror: 6";
        assert_eq!(first_lines(many), "1; 2; 3; 4; and 2 more, which `stepup check` lists");
    }
}
