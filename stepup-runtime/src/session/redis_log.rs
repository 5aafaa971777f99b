//! A log in Redis or Valkey, for several instances: one stream, and a hash with the accounts, which outlive the stream's
//! entries. Both keys have one hash tag, so that a script can change them together in a cluster.
//!
//! Followers read the stream with `XREAD BLOCK` on a connection of their own. After a failover they read everything again:
//! the new master may lack entries, and may have others with smaller ids. What a follower already knows stays known.

use crate::session::log::{Batch, BoxFuture, NoticeFollower, NoticeLog, Retention, SessionsError};
use crate::session::notice::{Notice, NoticeEffect};
use crate::session::redis_server::RedisServers;
use redis::aio::MultiplexedConnection;
use redis::streams::StreamReadReply;
use redis::{ErrorKind, RedisError, Script, ScriptInvocation, cmd};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

/// The most notices in one script, and the most callers that wait for the writer.
const LARGEST_COMMIT: usize = 1_000;
const WAITING: usize = 10_000;

/// The most entries in one response.
const LARGEST_BATCH: usize = 10_000;

/// How long a write is tried again, for example during a failover.
const LONGEST_WRITE: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(100);

/// How long a read waits for entries, in milliseconds.
const BLOCK_MS: u64 = 500;

/// How long replicas have to confirm a write, in milliseconds.
const CONFIRM_MS: usize = 1_000;

/// Appends groups of notices, each as a whole if there is room. Keeps the latest change of each account.
const APPEND: &str = r"
local stream, accounts = KEYS[1], KEYS[2]
redis.call('XTRIM', stream, 'MINID', ARGV[1])
local limit = tonumber(ARGV[2])
local size = redis.call('XLEN', stream) + redis.call('HLEN', accounts)
local results, at = {}, 3
while ARGV[at] do
    local count = tonumber(ARGV[at])
    at = at + 1
    if size + count > limit then
        results[#results + 1] = 0
        at = at + 3 * count
    else
        results[#results + 1] = 1
        size = size + count
        for _ = 1, count do
            local account, rank, notice = ARGV[at], ARGV[at + 1], ARGV[at + 2]
            at = at + 3
            redis.call('XADD', stream, '*', 'notice', notice)
            if account ~= '' then
                local known = redis.call('HGET', accounts, account)
                if not known or rank > string.sub(known, 1, 21) then
                    redis.call('HSET', accounts, account, rank .. notice)
                end
            end
        end
    end
end
return results
";

/// The length of the rank before a notice in the hash: its time with 20 digits, and 1 if it disables the account.
const RANK: usize = 21;

/// The names of the keys.
#[derive(Debug)]
struct Keys {
    stream: String,
    accounts: String,
    heartbeat: String,
}

/// A log in Redis. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct RedisLog {
    shared: Arc<Shared>,
    writer: mpsc::Sender<Append>,
}

#[derive(Debug)]
struct Shared {
    servers: RedisServers,
    keys: Keys,
    retention: Retention,
    /// How many replicas must confirm a write.
    replicas: usize,
}

/// Notices that wait for the writer.
struct Append {
    notices: Vec<Notice>,
    now: u64,
    done: oneshot::Sender<Result<(), SessionsError>>,
}

impl RedisLog {
    /// Starts the task that writes.
    pub(crate) fn new(
        servers: RedisServers,
        prefix: &str,
        retention: Retention,
        replicas: usize,
    ) -> Self {
        let key = |name: &str| format!("{{{prefix}}}:{name}");
        let keys =
            Keys { stream: key("notices"), accounts: key("accounts"), heartbeat: key("heartbeat") };
        let shared = Arc::new(Shared { servers, keys, retention, replicas });
        let (writer, appends) = mpsc::channel(WAITING);
        tokio::spawn(Writer { shared: Arc::clone(&shared), connection: None }.run(appends));
        Self { shared, writer }
    }
}

fn unreachable(error: &RedisError) -> SessionsError {
    SessionsError::Unreachable(error.to_string())
}

impl Shared {
    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        self.servers.master_of(&self.keys.stream).await
    }

    /// How many replicas have confirmed everything that this connection wrote.
    async fn confirmed(&self, connection: &mut MultiplexedConnection) -> Result<usize, RedisError> {
        if self.replicas == 0 {
            return Ok(0);
        }
        cmd("WAIT").arg(self.replicas).arg(CONFIRM_MS).query_async(connection).await
    }

    /// The script's call for these groups.
    fn append<'s>(&self, script: &'s Script, group: &[Append]) -> ScriptInvocation<'s> {
        let mut call = script.prepare_invoke();
        call.key(&self.keys.stream).key(&self.keys.accounts);
        let now = group.iter().map(|append| append.now).max().unwrap_or(0);
        // Entries have the server's time, in milliseconds. Ten minutes for different clocks, and for events of the future.
        let oldest = now.saturating_sub(self.retention.seconds.saturating_add(600));
        call.arg(oldest.saturating_mul(1000)).arg(self.retention.notices);
        for append in group {
            call.arg(append.notices.len());
            for notice in &append.notices {
                let disabled = match notice.effect {
                    NoticeEffect::Disabled => Some(1),
                    NoticeEffect::Enabled => Some(0),
                    _ => None,
                };
                let (account, rank) = match disabled {
                    None => (String::new(), String::new()),
                    Some(disabled) => {
                        let target = &notice.target;
                        let id = target.subject_id().unwrap_or_default();
                        let account = serde_json::json!([target.issuer(), id, target.client()]);
                        (account.to_string(), format!("{:020}{disabled}", notice.at))
                    }
                };
                let json = serde_json::to_string(notice).unwrap_or_default();
                call.arg(account).arg(rank).arg(json);
            }
        }
        call
    }
}

/// The task that writes, on a connection of its own: `WAIT` counts what its connection wrote.
struct Writer {
    shared: Arc<Shared>,
    connection: Option<MultiplexedConnection>,
}

impl Writer {
    async fn run(mut self, mut appends: mpsc::Receiver<Append>) {
        let script = Script::new(APPEND);
        while let Some(first) = appends.recv().await {
            let mut size = first.notices.len();
            let mut group = vec![first];
            while size < LARGEST_COMMIT
                && let Ok(next) = appends.try_recv()
            {
                size += next.notices.len();
                group.push(next);
            }
            let written = self.write_until(&script, &group, Instant::now() + LONGEST_WRITE).await;
            let mut results = match written {
                Ok(results) => results,
                Err(error) => vec![Err(error); group.len()],
            };
            results
                .resize(group.len(), Err(SessionsError::Write("the response is too short".into())));
            for (append, result) in group.into_iter().zip(results) {
                // The caller may be gone; its notice is written nevertheless.
                let _ = append.done.send(result);
            }
        }
    }

    /// Writes a group. Tries again until the deadline: writing a notice twice changes nothing.
    async fn write_until(
        &mut self,
        script: &Script,
        group: &[Append],
        deadline: Instant,
    ) -> Result<Vec<Result<(), SessionsError>>, SessionsError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match timeout(left, self.write(script, group)).await {
                Ok(Ok(results)) => return Ok(results),
                Ok(Err(error)) => {
                    self.connection = None;
                    if Instant::now() + RETRY >= deadline {
                        return Err(unreachable(&error));
                    }
                    sleep(RETRY).await;
                }
                Err(_) => {
                    self.connection = None;
                    return Err(SessionsError::Unreachable("the write took too long".into()));
                }
            }
        }
    }

    async fn write(
        &mut self,
        script: &Script,
        group: &[Append],
    ) -> Result<Vec<Result<(), SessionsError>>, RedisError> {
        let shared = &self.shared;
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(shared.connect().await?),
        };
        let written: Vec<u8> = shared.append(script, group).invoke_async(connection).await?;
        let confirmed = shared.confirmed(connection).await?;
        let limit = shared.retention.notices;
        let required = shared.replicas;
        Ok(written
            .into_iter()
            .map(|written| match written {
                0 => Err(SessionsError::Full { limit }),
                _ if confirmed < required => {
                    Err(SessionsError::Unconfirmed { confirmed, required })
                }
                _ => Ok(()),
            })
            .collect())
    }
}

impl NoticeLog for RedisLog {
    fn append(&self, notices: Vec<Notice>, now: u64) -> BoxFuture<'_, Result<(), SessionsError>> {
        Box::pin(async move {
            let (done, written) = oneshot::channel();
            let full = |_| SessionsError::Write(format!("{WAITING} other writes are waiting"));
            self.writer.try_send(Append { notices, now, done }).map_err(full)?;
            let stopped = || SessionsError::Write("its task has stopped".into());
            written.await.unwrap_or_else(|_| Err(stopped()))
        })
    }

    fn follow(&self) -> Box<dyn NoticeFollower> {
        Box::new(RedisFollower {
            shared: Arc::clone(&self.shared),
            connection: None,
            history: String::new(),
            position: START.to_owned(),
            accounts_read: false,
            behind: true,
        })
    }
}

/// The position before the first entry.
const START: &str = "0-0";

struct RedisFollower {
    shared: Arc<Shared>,
    connection: Option<MultiplexedConnection>,
    /// Which history of entries was read.
    history: String,
    /// The id of the last entry that was read.
    position: String,
    accounts_read: bool,
    /// Whether there may be entries that were not read yet, so that there is nothing to wait for.
    behind: bool,
}

impl RedisFollower {
    async fn read(&mut self) -> Result<Batch, SessionsError> {
        let read = self.read_once().await;
        if read.is_err() {
            self.connection = None;
        }
        read
    }

    async fn read_once(&mut self) -> Result<Batch, SessionsError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.reconnect().await.map_err(|error| unreachable(&error))?,
        };
        let mut notices = Vec::new();
        if !self.accounts_read {
            notices = self.accounts(&mut connection).await?;
        }
        // Before the read: what was durable by then is in the response, if the heartbeat shows that this is the master.
        let started = Instant::now();
        let entries = self.entries(&mut connection).await?;
        let caught_up = entries.len() < LARGEST_BATCH;
        let mut position = self.position.clone();
        for (id, json) in entries {
            notices.push(read_notice(&json)?);
            position = id;
        }
        // Only from here on: notices that are not returned are read again.
        self.position = position;
        self.accounts_read = true;
        self.behind = !caught_up;
        if !caught_up {
            self.connection = Some(connection);
            return Ok(Batch { notices, complete_at: None });
        }
        match self.heartbeat(&mut connection).await {
            Ok(()) => {
                self.connection = Some(connection);
                Ok(Batch { notices, complete_at: Some(started) })
            }
            Err(error) if notices.is_empty() => Err(error),
            // The notices count, whatever server they come from. The next call reports the error.
            Err(_) => Ok(Batch { notices, complete_at: None }),
        }
    }

    /// Connects to the master. If it is not the one that was read before, everything is read again.
    async fn reconnect(&mut self) -> Result<MultiplexedConnection, RedisError> {
        let mut connection = self.shared.connect().await?;
        let history = history(&mut connection).await?;
        if self.history != history {
            self.position = START.to_owned();
            self.accounts_read = false;
            self.history = history;
        }
        self.behind = true;
        warn_unless_synced(&mut connection).await;
        Ok(connection)
    }

    /// The latest change of each account.
    async fn accounts(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> Result<Vec<Notice>, SessionsError> {
        let mut notices = Vec::new();
        let mut cursor = 0_u64;
        loop {
            let mut scan = cmd("HSCAN");
            scan.arg(&self.shared.keys.accounts).arg(cursor).arg("COUNT").arg(LARGEST_BATCH);
            let (next, fields): (u64, Vec<(String, String)>) =
                scan.query_async(connection).await.map_err(|error| unreachable(&error))?;
            for (_, ranked) in fields {
                notices.push(read_notice(ranked.get(RANK..).unwrap_or_default())?);
            }
            cursor = next;
            if cursor == 0 {
                return Ok(notices);
            }
        }
    }

    /// The entries after the position, each with its id. Waits for further ones unless some may be there.
    async fn entries(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> Result<Vec<(String, String)>, SessionsError> {
        let mut read = cmd("XREAD");
        read.arg("COUNT").arg(LARGEST_BATCH);
        if !self.behind {
            read.arg("BLOCK").arg(BLOCK_MS);
        }
        read.arg("STREAMS").arg(&self.shared.keys.stream).arg(&self.position);
        let reply: Option<StreamReadReply> =
            read.query_async(connection).await.map_err(|error| unreachable(&error))?;
        let streams = reply.map_or_else(Vec::new, |reply| reply.keys);
        let entries = streams.into_iter().flat_map(|stream| stream.ids);
        entries
            .map(|entry| {
                let notice = entry.get::<String>("notice");
                let missing = || SessionsError::Unreadable(format!("entry {}", entry.id));
                Ok((entry.id.clone(), notice.ok_or_else(missing)?))
            })
            .collect()
    }

    /// Checks that the server still is the master: a replica refuses the write, and a master without its replicas gets
    /// no confirmation.
    async fn heartbeat(&self, connection: &mut MultiplexedConnection) -> Result<(), SessionsError> {
        let Shared { keys, replicas, .. } = &*self.shared;
        let beat = async {
            cmd("SET").arg(&keys.heartbeat).arg(1).exec_async(connection).await?;
            let confirmed = self.shared.confirmed(connection).await?;
            Ok((confirmed, history(connection).await?))
        };
        let (confirmed, history) = beat.await.map_err(|error| unreachable(&error))?;
        if history != self.history {
            return Err(SessionsError::Unreachable("the master has changed".into()));
        }
        if confirmed < *replicas {
            let text =
                format!("only {confirmed} of {replicas} replicas are connected to the master");
            let error = RedisError::from((ErrorKind::Io, "heartbeat", text));
            return Err(unreachable(&error));
        }
        Ok(())
    }
}

/// Identifies the history of a server's entries: the process, and what it replicates or has replicated. It changes when the
/// server restarts, and when it becomes a master or a replica.
async fn history(connection: &mut MultiplexedConnection) -> Result<String, RedisError> {
    let mut history = String::new();
    for section in ["server", "replication"] {
        let info: String = cmd("INFO").arg(section).query_async(connection).await?;
        let fields = info.lines().filter(|line| {
            ["run_id:", "master_replid:"].iter().any(|field| line.starts_with(field))
        });
        history.extend(fields.flat_map(|field| [field, " "]));
    }
    Ok(history)
}

/// Warns, once, if the server may lose writes that it has confirmed: a master that restarts before a failover has only what
/// is in its file, and its replicas then follow it.
async fn warn_unless_synced(connection: &mut MultiplexedConnection) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    let mut get = cmd("CONFIG");
    get.arg("GET").arg("append*");
    // A managed server may forbid the question.
    let Ok(settings) = get.query_async::<HashMap<String, String>>(connection).await else { return };
    let is = |name: &str, value: &str| settings.get(name).is_none_or(|known| known == value);
    let synced = is("appendonly", "yes") && is("appendfsync", "always");
    if !synced && !WARNED.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            "Redis may lose a revocation if its master restarts before a failover; configure `appendonly yes` and \
             `appendfsync always`"
        );
    }
}

fn read_notice(json: &str) -> Result<Notice, SessionsError> {
    serde_json::from_str(json).map_err(|error| SessionsError::Unreadable(error.to_string()))
}

impl NoticeFollower for RedisFollower {
    fn next(&mut self) -> BoxFuture<'_, Result<Batch, SessionsError>> {
        Box::pin(self.read())
    }
}
