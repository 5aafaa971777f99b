//! How sessions are configured: the log, and its limits.

use crate::session::log::{NoticeLog, Retention, SessionsError};
use crate::session::memory_log::MemoryLog;
#[cfg(feature = "redb")]
use crate::session::redb_log::RedbLog;
#[cfg(feature = "redis")]
use crate::session::redis_log::RedisLog;
#[cfg(feature = "redis")]
use crate::session::redis_server::RedisServers;
#[cfg(feature = "redb")]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where notices about sessions are kept, and how: see [`Builder::sessions`](crate::Builder::sessions).
///
/// ```
/// # fn open() -> Result<(), stepup_runtime::SessionsError> {
/// use std::time::Duration;
/// use stepup_runtime::Sessions;
///
/// # let folder = std::env::temp_dir().join("stepup-sessions-example");
/// # std::fs::create_dir_all(&folder).unwrap();
/// # let path = folder.join("sessions.redb");
/// // One process: a file. Several: Sessions::redis.
/// let sessions = Sessions::open(&path)?.longest_session(Duration::from_secs(7 * 24 * 3600));
/// # Ok(())
/// # }
/// # open().unwrap();
/// ```
#[derive(Debug, Clone)]
#[must_use = "pass it to StepUp::builder().sessions(…)"]
pub struct Sessions {
    pub(crate) place: LogPlace,
    pub(crate) max_notices: usize,
    pub(crate) longest_session: Duration,
    pub(crate) staleness: Duration,
    pub(crate) serve_standard_when_stale: bool,
    #[cfg(feature = "redis")]
    replicas: usize,
    #[cfg(feature = "redis")]
    redis_prefix: String,
}

/// Where a log is.
#[derive(Debug, Clone)]
pub(crate) enum LogPlace {
    Memory,
    #[cfg(feature = "redb")]
    File(PathBuf),
    #[cfg(feature = "redis")]
    Redis(RedisServers),
}

impl Sessions {
    /// Keeps notices in memory: they are lost when the process stops. For tests.
    pub fn memory() -> Self {
        Self::new(LogPlace::Memory)
    }

    /// Keeps notices in a file, for one process. The file is created if it does not exist.
    ///
    /// # Errors
    /// [`SessionsError::File`] if the folder of the file does not exist. What is wrong with the file itself is an error of
    /// [`Builder::build`](crate::Builder::build).
    #[cfg(feature = "redb")]
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, SessionsError> {
        let path = path.into();
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if folder.is_some_and(|folder| !folder.is_dir()) {
            let reason = "its folder does not exist".into();
            return Err(SessionsError::File { path, reason });
        }
        Ok(Self::new(LogPlace::File(path)))
    }

    /// Keeps notices in Redis or Valkey, for several instances of an API: `redis://host:6379`, with TLS `rediss://…`. Name
    /// several nodes of a cluster, `redis://one:7000,two:7000`, or the sentinels and their master,
    /// `redis+sentinel://one:26379,two:26379/mymaster`.
    ///
    /// # Errors
    /// [`SessionsError::Url`] if the URL is not valid. The servers are contacted by
    /// [`Builder::build`](crate::Builder::build).
    #[cfg(feature = "redis")]
    pub fn redis(url: &str) -> Result<Self, SessionsError> {
        Ok(Self::new(LogPlace::Redis(RedisServers::parse(url)?)))
    }

    /// Requires that this number of replicas confirms each notice in Redis: none by default. A notice that fewer confirm is
    /// enforced, and reported as [`SessionsError::Unconfirmed`]. An instance whose master has fewer replicas stops to
    /// serve sensitive endpoints, because another master may have taken over. With the number of all replicas, nothing is lost
    /// whichever of them becomes the master; with fewer, that depends on the choice of the sentinels or of the cluster.
    #[cfg(feature = "redis")]
    pub fn replicas(self, number: usize) -> Self {
        Self { replicas: number, ..self }
    }

    /// The prefix of the keys in Redis: `stepup` by default.
    #[cfg(feature = "redis")]
    pub fn redis_prefix(self, prefix: impl Into<String>) -> Self {
        Self { redis_prefix: prefix.into(), ..self }
    }

    fn new(place: LogPlace) -> Self {
        Self {
            place,
            max_notices: 1_000_000,
            longest_session: Duration::from_secs(30 * 24 * 3600),
            staleness: Duration::from_secs(5),
            serve_standard_when_stale: false,
            #[cfg(feature = "redis")]
            replicas: 0,
            #[cfg(feature = "redis")]
            redis_prefix: "stepup".into(),
        }
    }

    /// Limits the number of notices: 1,000,000 by default, about 200 MB of memory. At the limit, further notices are
    /// refused with an error, and none in force is dropped.
    pub fn max_notices(self, most: usize) -> Self {
        Self { max_notices: most, ..self }
    }

    /// The longest time for which a login lasts, refreshed tokens included: 30 days by default. A notice is kept for this time
    /// after its event, so a token is accepted for at most this time after the user's authentication (`auth_time`, else
    /// `iat`). Notices that were removed under a lower value do not come back under a higher one.
    pub fn longest_session(self, lifetime: Duration) -> Self {
        Self { longest_session: lifetime, ..self }
    }

    /// How long ago the log may have been heard from: 5 seconds by default. After that, sensitive endpoints respond with
    /// 503, because a revocation may have been missed.
    pub fn staleness(self, longest: Duration) -> Self {
        Self { staleness: longest, ..self }
    }

    /// Serves `standard` endpoints even if the log has not been heard from. By default they respond with 503 too.
    pub fn serve_standard_when_stale(self, serve: bool) -> Self {
        Self { serve_standard_when_stale: serve, ..self }
    }

    pub(crate) fn retention(&self) -> Retention {
        Retention { seconds: self.longest_session.as_secs(), notices: self.max_notices }
    }

    /// Opens the log.
    #[cfg_attr(not(feature = "redb"), expect(unused_variables, clippy::unnecessary_wraps))]
    pub(crate) fn log(&self, now: u64) -> Result<Arc<dyn NoticeLog>, SessionsError> {
        let retention = self.retention();
        Ok(match &self.place {
            LogPlace::Memory => Arc::new(MemoryLog::new(retention)),
            #[cfg(feature = "redb")]
            LogPlace::File(path) => Arc::new(RedbLog::open(path, retention, now)?),
            #[cfg(feature = "redis")]
            LogPlace::Redis(servers) => {
                let (prefix, replicas) = (&self.redis_prefix, self.replicas);
                Arc::new(RedisLog::new(servers.clone(), prefix, retention, replicas))
            }
        })
    }
}
