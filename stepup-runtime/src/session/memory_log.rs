//! A log in memory, for tests and for programs that may forget everything when they stop.

use crate::session::log::{
    Batch, BoxFuture, HEARTBEAT, NoticeFollower, NoticeLog, Retention, SessionsError,
};
use crate::session::notice::Notice;
use crate::session::state::SessionState;
use crate::token::identity::IdentityKey;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// The shortest time between two searches for notices that are over, in seconds. A search reads the whole log.
const SEARCH_INTERVAL: u64 = 60;

/// A log in memory. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct MemoryLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    stored: Mutex<Stored>,
    retention: Retention,
    /// The number of the latest notice.
    latest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Stored {
    notices: BTreeMap<u64, Notice>,
    latest: u64,
    searched_at: u64,
}

impl MemoryLog {
    pub(crate) fn new(retention: Retention) -> Self {
        let latest = watch::Sender::new(0);
        Self(Arc::new(Shared { stored: Mutex::default(), retention, latest }))
    }
}

impl Shared {
    /// A poisoned lock is usable: the state is plain data and always consistent.
    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, notices: Vec<Notice>, now: u64) -> Result<u64, SessionsError> {
        let limit = self.retention.notices;
        let mut stored = self.stored();
        let fits = |stored: &Stored| stored.notices.len() + notices.len() <= limit;
        if !fits(&stored) && now >= stored.searched_at.saturating_add(SEARCH_INTERVAL) {
            stored.remove_over(now, self.retention.seconds);
        }
        if !fits(&stored) {
            return Err(SessionsError::Full { limit });
        }
        for notice in notices {
            stored.latest += 1;
            let number = stored.latest;
            stored.notices.insert(number, notice);
        }
        Ok(stored.latest)
    }
}

impl Stored {
    /// Removes the notices of targets whose state can be forgotten.
    fn remove_over(&mut self, now: u64, retention: u64) {
        self.searched_at = now;
        let mut states: HashMap<IdentityKey, SessionState> = HashMap::new();
        for notice in self.notices.values() {
            let state = states.entry(notice.target.key()).or_default();
            *state = state.join(SessionState::of(notice));
        }
        self.notices.retain(|_, notice| {
            states.get(&notice.target.key()).is_some_and(|state| !state.is_over(now, retention))
        });
    }
}

impl NoticeLog for MemoryLog {
    fn append(&self, notices: Vec<Notice>, now: u64) -> BoxFuture<'_, Result<(), SessionsError>> {
        Box::pin(async move {
            let latest = self.0.append(notices, now)?;
            self.0.latest.send_modify(|known| *known = latest.max(*known));
            Ok(())
        })
    }

    fn follow(&self) -> Box<dyn NoticeFollower> {
        let log = Arc::clone(&self.0);
        let latest = log.latest.subscribe();
        Box::new(MemoryFollower { log, latest, position: None })
    }
}

struct MemoryFollower {
    log: Arc<Shared>,
    latest: watch::Receiver<u64>,
    /// The number of the last notice that was read, after the first call.
    position: Option<u64>,
}

impl NoticeFollower for MemoryFollower {
    fn next(&mut self) -> BoxFuture<'_, Result<Batch, SessionsError>> {
        Box::pin(async {
            if let Some(position) = self.position {
                // Without further notices, the batch is empty.
                let _ = timeout(HEARTBEAT, self.latest.wait_for(|latest| *latest > position)).await;
            }
            let complete_at = Some(Instant::now());
            let stored = self.log.stored();
            let after = self.position.unwrap_or(0);
            let notices = stored.notices.range(after + 1..).map(|(_, notice)| notice.clone());
            let notices = notices.collect();
            self.position = Some(stored.latest);
            Ok(Batch { notices, complete_at })
        })
    }
}
