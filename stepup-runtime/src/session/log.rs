//! The log of notices: what a backend must do. A backend keeps notices durably and delivers all of them to every
//! follower, in any order and any number of times; the fold in `state` makes the rest.

use crate::session::notice::Notice;
use std::fmt::Debug;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;
use thiserror::Error;
use tokio::time::Instant;

/// A boxed future, because backends are chosen at run time.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How long a follower may wait before it returns an empty batch, which shows that the log is alive.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(1);

/// A log of notices.
pub(crate) trait NoticeLog: Debug + Send + Sync {
    /// Appends these notices at this time, in seconds since the epoch. Returns once they are durable.
    fn append(&self, notices: Vec<Notice>, now: u64) -> BoxFuture<'_, Result<(), SessionsError>>;

    /// A follower that starts with the oldest notice.
    fn follow(&self) -> Box<dyn NoticeFollower>;
}

/// Reads a log from the oldest notice on, and then waits for further ones.
pub(crate) trait NoticeFollower: Send {
    /// The next notices, or none after [`HEARTBEAT`] at the latest. After an error, the next call resumes.
    fn next(&mut self) -> BoxFuture<'_, Result<Batch, SessionsError>>;
}

/// What a follower has read.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) notices: Vec<Notice>,
    /// If these were the last notices: when the log had no others. Every notice that was durable before this time has been
    /// read.
    pub(crate) complete_at: Option<Instant>,
}

/// How long and how many notices a log keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retention {
    /// Seconds after its event until a notice can affect no accepted token any more.
    pub(crate) seconds: u64,
    /// The most notices.
    pub(crate) notices: usize,
}

/// Why notices could not be stored or read.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum SessionsError {
    /// `sessions()` is not configured.
    #[error(
        "no session log; call StepUp::builder().sessions(Sessions::open(\"sessions.redb\")?) (--sessions)"
    )]
    NotConfigured,
    /// The notice is not valid.
    #[error("the notice is not valid: {0}")]
    Invalid(#[from] crate::session::notice::InvalidNotice),
    /// The log has reached its limit.
    #[error(
        "the session log is full: it has {limit} notices in force; raise Sessions::max_notices (--max-notices), or find \
         out what creates so many"
    )]
    Full {
        /// The limit.
        limit: usize,
    },
    /// Another process has opened the file.
    #[error(
        "{}: another process has opened the session log; one process can use a file, several need Redis \
         (Sessions::redis)", .0.display()
    )]
    InUse(PathBuf),
    /// The file exists and contains no log: it was emptied, for example by a repair after damage.
    #[error(
        "{}: the file exists, but the session log in it is gone; restore it from a backup, or delete the file if every \
         revocation in it has expired", .0.display()
    )]
    Emptied(PathBuf),
    /// The file cannot be opened or read.
    #[error("{}: the session log cannot be used: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The notices could not be written.
    #[error("the session log could not be written: {0}; the notice is not in force")]
    Write(String),
    /// The notices were written, and too few replicas have confirmed them.
    #[error(
        "the notice was written, and only {confirmed} of {required} replicas have confirmed it; it may be lost when the \
         master fails"
    )]
    Unconfirmed {
        /// How many replicas have confirmed it.
        confirmed: usize,
        /// How many must.
        required: usize,
    },
    /// The URL of the log is not valid.
    #[error("the URL of the session log is not valid: {0}")]
    Url(String),
    /// The log cannot be reached.
    #[error("the session log cannot be reached: {0}")]
    Unreachable(String),
    /// The log contains something that this version cannot read.
    #[error("the session log contains a notice that cannot be read: {0}")]
    Unreadable(String),
}
