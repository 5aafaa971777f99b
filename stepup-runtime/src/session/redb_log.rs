//! A log in a file, for one process. One thread writes: it commits all notices that have arrived in the meantime at
//! once, and removes notices that are over in the same transaction.

use crate::session::log::{
    Batch, BoxFuture, HEARTBEAT, NoticeFollower, NoticeLog, Retention, SessionsError,
};
use crate::session::notice::{Notice, NoticeEffect};
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    Table, TableDefinition,
};
use std::fs;
use std::io::ErrorKind;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout};

/// The notices as JSON, by number.
const NOTICES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("notices");

/// When a notice can be removed, in seconds since the epoch, and its number.
const DUE: TableDefinition<'_, (u64, u64), ()> = TableDefinition::new("due");

/// The notices that disable an account, by the account's key. They are due when the account has been enabled.
const DISABLED: TableDefinition<'_, ([u8; 16], u64), u64> = TableDefinition::new("disabled");

/// Facts about the file.
const FACTS: TableDefinition<'_, &str, u64> = TableDefinition::new("facts");

/// When the file was created. A file without this fact was emptied.
const BORN: &str = "born";

/// The number of the latest notice, which is never used again.
const LATEST: &str = "latest";

/// The page cache, in bytes. The state is in memory already, so the cache only helps the writer.
const CACHE: usize = 8 * 1024 * 1024;

/// The most notices in one transaction, and the most callers that wait for the writer.
const LARGEST_COMMIT: usize = 10_000;
const WAITING: usize = 10_000;

/// The most notices that one call of a follower returns.
const LARGEST_BATCH: usize = 10_000;

/// A log in a file. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct RedbLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    database: Arc<Database>,
    /// Taken when the log is closed.
    writer: Option<SyncSender<Append>>,
    thread: Option<JoinHandle<()>>,
    latest: watch::Receiver<u64>,
}

impl Drop for Shared {
    /// Waits for the writer, so that the file can be opened again.
    fn drop(&mut self) {
        drop(self.writer.take());
        // A writer that panicked has closed the file too.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Notices that wait for the writer.
struct Append {
    notices: Vec<Notice>,
    now: u64,
    done: oneshot::Sender<Result<(), SessionsError>>,
}

impl RedbLog {
    /// Opens the file, or creates it.
    pub(crate) fn open(path: &Path, retention: Retention, now: u64) -> Result<Self, SessionsError> {
        let existed = match fs::metadata(path) {
            // An empty file too: a crash may have emptied it.
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(unusable(path, error)),
        };
        let database = Builder::new().set_cache_size(CACHE).create(path);
        let mut database = database.map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => SessionsError::InUse(path.to_owned()),
            error => unusable(path, error),
        })?;
        let (latest, number) = prepare(&database, existed, now).map_err(|error| match error {
            Unprepared::Emptied => SessionsError::Emptied(path.to_owned()),
            Unprepared::Failed(error) => unusable(path, error),
        })?;
        // Compaction reads and writes the whole file, so it must be worth it.
        if number * 4 < latest && fs::metadata(path).is_ok_and(|file| file.len() > (64 << 20)) {
            database.compact().map_err(|error| unusable(path, error))?;
        }
        let database = Arc::new(database);
        let (known, latest) = watch::channel(latest);
        let (writer, appends) = sync_channel(WAITING);
        let thread = Writer {
            database: Arc::clone(&database),
            retention,
            number: usize::try_from(number).unwrap_or(usize::MAX),
            known,
        };
        let builder = thread::Builder::new().name("stepup-sessions".into());
        let thread = builder.spawn(move || thread.run(&appends));
        let thread = Some(thread.map_err(|error| unusable(path, error))?);
        let (path, writer) = (path.to_owned(), Some(writer));
        Ok(Self(Arc::new(Shared { path, database, writer, thread, latest })))
    }
}

fn unusable(path: &Path, error: impl ToString) -> SessionsError {
    SessionsError::File { path: path.to_owned(), reason: error.to_string() }
}

enum Unprepared {
    Emptied,
    Failed(redb::Error),
}

impl<E: Into<redb::Error>> From<E> for Unprepared {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Creates the tables of a new file, and checks those of an existing one. Returns the number of the latest notice and how
/// many notices there are.
fn prepare(database: &Database, existed: bool, now: u64) -> Result<(u64, u64), Unprepared> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    let (latest, number) = {
        let mut facts = transaction.open_table(FACTS)?;
        let born = facts.get(BORN)?.is_some();
        if existed && !born {
            return Err(Unprepared::Emptied);
        }
        if !born {
            facts.insert(BORN, now)?;
        }
        let latest = facts.get(LATEST)?.map_or(0, |latest| latest.value());
        transaction.open_table(DUE)?;
        transaction.open_table(DISABLED)?;
        (latest, transaction.open_table(NOTICES)?.len()?)
    };
    transaction.commit()?;
    Ok((latest, number))
}

/// The thread that writes.
struct Writer {
    database: Arc<Database>,
    retention: Retention,
    /// How many notices there are.
    number: usize,
    known: watch::Sender<u64>,
}

impl Writer {
    fn run(mut self, appends: &Receiver<Append>) {
        while let Ok(first) = appends.recv() {
            let mut size = first.notices.len();
            let mut group = vec![first];
            while size < LARGEST_COMMIT
                && let Ok(next) = appends.try_recv()
            {
                size += next.notices.len();
                group.push(next);
            }
            let mut results: Vec<Result<(), SessionsError>> = Vec::new();
            let committed = self.commit(&group, &mut results);
            let failed = committed.err().map(|error| SessionsError::Write(error.to_string()));
            let results = results.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
            for (append, result) in group.into_iter().zip(results) {
                let written = result.unwrap_or(Ok(()));
                // The caller may be gone; its notice is written nevertheless.
                let _ = append.done.send(failed.clone().map_or(written, Err));
            }
        }
    }

    /// Writes all notices that fit, durably, and removes those that are due.
    fn commit(
        &mut self,
        group: &[Append],
        results: &mut Vec<Result<(), SessionsError>>,
    ) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_quick_repair(true);
        let (latest, number) = {
            let mut tables = Tables {
                notices: transaction.open_table(NOTICES)?,
                due: transaction.open_table(DUE)?,
                disabled: transaction.open_table(DISABLED)?,
            };
            let mut facts = transaction.open_table(FACTS)?;
            let mut latest = facts.get(LATEST)?.map_or(0, |latest| latest.value());
            let (size, now) = group.iter().fold((0, 0), |(size, now), append| {
                (size + append.notices.len(), append.now.max(now))
            });
            let mut number = self.number.saturating_sub(tables.remove_due(now, 2 * size + 16)?);
            for append in group {
                let limit = self.retention.notices;
                if number + append.notices.len() > limit {
                    results.push(Err(SessionsError::Full { limit }));
                    continue;
                }
                for notice in &append.notices {
                    latest += 1;
                    tables.insert(latest, notice, self.retention)?;
                }
                number += append.notices.len();
                results.push(Ok(()));
            }
            facts.insert(LATEST, latest)?;
            (latest, number)
        };
        transaction.commit()?;
        self.number = number;
        self.known.send_replace(latest);
        Ok(())
    }
}

/// The tables in a transaction.
struct Tables<'t> {
    notices: Table<'t, u64, &'static [u8]>,
    due: Table<'t, (u64, u64), ()>,
    disabled: Table<'t, ([u8; 16], u64), u64>,
}

impl Tables<'_> {
    fn insert(
        &mut self,
        number: u64,
        notice: &Notice,
        retention: Retention,
    ) -> Result<(), redb::Error> {
        let json = serde_json::to_vec(notice).unwrap_or_default();
        self.notices.insert(number, json.as_slice())?;
        if notice.effect == NoticeEffect::Disabled {
            self.disabled.insert((notice.target.key().to_bytes(), number), notice.at)?;
        } else {
            self.due.insert((notice.at.saturating_add(retention.seconds), number), ())?;
        }
        Ok(())
    }

    /// Removes notices that are due, at most this many. Returns how many.
    fn remove_due(&mut self, now: u64, most: usize) -> Result<usize, redb::Error> {
        let due = self.due.range((0, 0)..(now, 0))?.take(most);
        let due = due.map(|entry| entry.map(|(key, _)| key.value()));
        let due: Vec<(u64, u64)> = due.collect::<Result<_, _>>()?;
        let mut removed = 0;
        for key in due {
            self.due.remove(key)?;
            let Some(notice) = self.notices.remove(key.1)?.and_then(|json| read(json.value()).ok())
            else {
                continue;
            };
            removed += 1;
            if notice.effect == NoticeEffect::Enabled {
                removed += self.remove_disabled_before(&notice)?;
            }
        }
        Ok(removed)
    }

    /// Removes the notices that disabled an account before this notice enabled it.
    fn remove_disabled_before(&mut self, enabled: &Notice) -> Result<usize, redb::Error> {
        let key = enabled.target.key().to_bytes();
        let range: RangeInclusive<([u8; 16], u64)> = (key, 0)..=(key, u64::MAX);
        let mut numbers = Vec::new();
        for entry in self.disabled.range(range)? {
            let (key, at) = entry?;
            if at.value() < enabled.at {
                numbers.push(key.value());
            }
        }
        for key in &numbers {
            self.disabled.remove(*key)?;
            self.notices.remove(key.1)?;
        }
        Ok(numbers.len())
    }
}

fn read(json: &[u8]) -> Result<Notice, SessionsError> {
    serde_json::from_slice(json).map_err(|error| SessionsError::Unreadable(error.to_string()))
}

impl NoticeLog for RedbLog {
    fn append(&self, notices: Vec<Notice>, now: u64) -> BoxFuture<'_, Result<(), SessionsError>> {
        Box::pin(async move {
            let (done, written) = oneshot::channel();
            let stopped = || SessionsError::Write("its thread has stopped".into());
            let writer = self.0.writer.as_ref().ok_or_else(stopped)?;
            writer.try_send(Append { notices, now, done }).map_err(|error| match error {
                TrySendError::Full(_) => {
                    SessionsError::Write(format!("{WAITING} other writes are waiting"))
                }
                TrySendError::Disconnected(_) => stopped(),
            })?;
            written.await.unwrap_or_else(|_| Err(stopped()))
        })
    }

    fn follow(&self) -> Box<dyn NoticeFollower> {
        let log = Arc::clone(&self.0);
        let latest = log.latest.clone();
        Box::new(RedbFollower { log, latest, position: None })
    }
}

struct RedbFollower {
    log: Arc<Shared>,
    latest: watch::Receiver<u64>,
    /// The number of the last notice that was read, after the first call.
    position: Option<u64>,
}

impl RedbFollower {
    fn read(&mut self) -> Result<Batch, SessionsError> {
        let started = Instant::now();
        // Every notice up to this number is visible below, unless it was removed.
        let latest = *self.latest.borrow();
        let failed = |error: redb::Error| unusable(&self.log.path, error);
        let transaction = self.log.database.begin_read().map_err(|error| failed(error.into()))?;
        let table = transaction.open_table(NOTICES).map_err(|error| failed(error.into()))?;
        let after = self.position.unwrap_or(0);
        let mut notices = Vec::new();
        let mut position = after;
        for entry in table.range(after + 1..).map_err(|error| failed(error.into()))? {
            let (number, json) = entry.map_err(|error| failed(error.into()))?;
            notices.push(read(json.value())?);
            position = number.value();
            if notices.len() == LARGEST_BATCH {
                break;
            }
        }
        let caught_up = notices.len() < LARGEST_BATCH;
        self.position = Some(if caught_up { position.max(latest) } else { position });
        Ok(Batch { notices, complete_at: caught_up.then_some(started) })
    }
}

impl NoticeFollower for RedbFollower {
    fn next(&mut self) -> BoxFuture<'_, Result<Batch, SessionsError>> {
        Box::pin(async {
            if let Some(position) = self.position {
                // Without further notices, the batch is empty.
                let newer = self.latest.wait_for(|latest| *latest > position);
                if let Ok(Err(_)) = timeout(HEARTBEAT, newer).await {
                    return Err(SessionsError::Write("its thread has stopped".into()));
                }
            }
            self.read()
        })
    }
}
