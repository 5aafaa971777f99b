//! The sessions of a running program: the log, the state in memory that follows it, and when the log was last heard from.

use crate::session::directory::{SessionDirectory, SessionRecord};
use crate::session::index::NoticeIndex;
use crate::session::log::{Batch, NoticeFollower, NoticeLog, Retention, SessionsError};
use crate::session::notice::{InvalidNotice, Notice, NoticeEffect};
use crate::session::sessions::Sessions;
use crate::session::state::SessionStatus;
use crate::support::clock::Clock;
use crate::support::error_chain::ErrorChain;
use crate::token::identity::{IdentityKey, TokenIdentity};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

/// How far the clock of an issuer may be ahead, in seconds: the most that a profile may allow.
const LARGEST_SKEW: u64 = 300;

/// The time between two attempts to read a log that has failed.
const RETRY: Duration = Duration::from_millis(200);

/// How long a log may be unreachable at the start.
const LONGEST_START: Duration = Duration::from_secs(5);

/// The time between two searches for states that can be forgotten.
const FORGET_INTERVAL: Duration = Duration::from_secs(60);

/// The sessions of a running program.
#[derive(Debug)]
pub(crate) struct SessionStore {
    log: Arc<dyn NoticeLog>,
    index: NoticeIndex,
    pub(crate) directory: SessionDirectory,
    retention: Retention,
    started: Instant,
    /// Every notice that was durable before this time is known, in milliseconds after the start.
    heard: AtomicU64,
    staleness: Duration,
    pub(crate) serve_standard_when_stale: bool,
    /// The task that follows the log.
    task: OnceLock<AbortHandle>,
}

impl Drop for SessionStore {
    /// Stops the task at once, so that the log is closed.
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl SessionStore {
    /// Opens the log, and loads all notices.
    pub(crate) async fn start(
        sessions: &Sessions,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, SessionsError> {
        let log = sessions.log(clock.now())?;
        let mut follower = log.follow();
        let store = Arc::new(Self {
            log,
            index: NoticeIndex::default(),
            directory: SessionDirectory::default(),
            retention: sessions.retention(),
            started: Instant::now(),
            heard: AtomicU64::new(0),
            staleness: sessions.staleness,
            serve_standard_when_stale: sessions.serve_standard_when_stale,
            task: OnceLock::new(),
        });
        let deadline = Instant::now() + LONGEST_START;
        loop {
            match follower.next().await {
                Ok(batch) => {
                    if store.take(batch) {
                        break;
                    }
                }
                // For example a failover at this moment.
                Err(SessionsError::Unreachable(_)) if Instant::now() < deadline => {
                    sleep(RETRY).await;
                }
                Err(error) => return Err(error),
            }
        }
        store.forget_over(clock.now());
        let task = tokio::spawn(follow(Arc::downgrade(&store), follower, clock));
        store.task.get_or_init(|| task.abort_handle());
        Ok(store)
    }

    /// Adds what a follower has read. Returns whether these were all notices.
    fn take(&self, batch: Batch) -> bool {
        self.index.add(&batch.notices);
        let Some(complete_at) = batch.complete_at else { return false };
        let heard = complete_at.saturating_duration_since(self.started).as_millis();
        self.heard.fetch_max(u64::try_from(heard).unwrap_or(u64::MAX), Ordering::AcqRel);
        true
    }

    fn forget_over(&self, now: u64) {
        self.index.forget_over(now, self.retention.seconds);
        self.directory.forget_before(now.saturating_sub(self.retention.seconds));
    }

    /// Whether the log was heard from recently.
    pub(crate) fn is_fresh(&self) -> bool {
        let heard = Duration::from_millis(self.heard.load(Ordering::Acquire));
        self.started.elapsed().saturating_sub(heard) <= self.staleness
    }

    /// What all notices mean for a token of this identity.
    pub(crate) fn status(&self, identity: &TokenIdentity, now: u64) -> SessionStatus {
        self.index.status(identity, now)
    }

    /// Whether every notice that could affect an authentication at this time is kept.
    pub(crate) fn covers(&self, authenticated_at: u64, now: u64) -> bool {
        let longest = authenticated_at.saturating_add(self.retention.seconds);
        now <= longest && authenticated_at <= now.saturating_add(LARGEST_SKEW)
    }

    /// The sessions of a subject that have not ended.
    pub(crate) fn sessions_of(&self, issuer: &str, subject: &str, now: u64) -> Vec<SessionRecord> {
        let key = IdentityKey::subject(issuer, subject, None);
        let mut records = self.directory.of(key);
        records.retain(|record| {
            let identity = TokenIdentity {
                session: Some(IdentityKey::session(issuer, &record.sid, None)),
                session_at_client: None,
                subject: key,
                subject_at_client: None,
                authenticated_at: record.last_authenticated.unwrap_or(record.first_seen),
            };
            let status = self.index.status(&identity, now);
            !(status.revoked || status.disabled)
        });
        records
    }

    /// How many sessions and subjects have a state.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Appends notices. Returns once they are durable, and in force here.
    pub(crate) async fn append(
        &self,
        mut notices: Vec<Notice>,
        now: u64,
    ) -> Result<(), SessionsError> {
        for notice in &mut notices {
            notice.check()?;
            self.limit_times(notice, now)?;
        }
        let appended = self.log.append(notices.clone(), now).await;
        match &appended {
            // A notice that may be lost is enforced nevertheless, where it is known.
            Ok(()) | Err(SessionsError::Unconfirmed { .. }) => self.index.add(&notices),
            Err(error) => {
                let error = ErrorChain(error);
                tracing::error!(%error, number = notices.len(), "notices could not be stored");
            }
        }
        appended
    }

    /// A transmitter's clock may be a little ahead, and no effect lasts longer than the notice is kept.
    fn limit_times(&self, notice: &mut Notice, now: u64) -> Result<(), InvalidNotice> {
        notice.at = notice.at.min(now.saturating_add(LARGEST_SKEW));
        let longest = notice.at.saturating_add(self.retention.seconds);
        match &mut notice.effect {
            NoticeEffect::Risk { until: until @ None, .. } => *until = Some(longest),
            NoticeEffect::Risk { until: Some(until), .. } | NoticeEffect::Locked { until }
                if *until > longest =>
            {
                return Err(InvalidNotice::TooLong);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Follows the log until the store is dropped.
async fn follow(
    store: Weak<SessionStore>,
    mut follower: Box<dyn NoticeFollower>,
    clock: Arc<dyn Clock>,
) {
    let mut forgotten = Instant::now();
    let mut failed = false;
    loop {
        let read = follower.next().await;
        let Some(store) = store.upgrade() else { return };
        match read {
            Ok(batch) => {
                store.take(batch);
                if std::mem::take(&mut failed) {
                    tracing::info!("the session log can be read again");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut failed, true) {
                    let error = ErrorChain(&error);
                    tracing::error!(%error, "the session log cannot be read; sensitive endpoints will respond with 503");
                }
                drop(store);
                sleep(RETRY).await;
                continue;
            }
        }
        if forgotten.elapsed() >= FORGET_INTERVAL {
            forgotten = Instant::now();
            store.forget_over(clock.now());
        }
    }
}
