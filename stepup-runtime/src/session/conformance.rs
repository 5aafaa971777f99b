//! What every log must do, as tests that run against each backend.

use crate::session::log::{NoticeFollower, NoticeLog, Retention, SessionsError};
use crate::session::memory_log::MemoryLog;
use crate::session::notice::{Notice, NoticeEffect, NoticeSource, NoticeTarget};
use crate::support::clock::{Clock, SystemClock};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

const DAY: u64 = 24 * 3600;

/// The system's time, because Redis assigns the times of its entries.
static NOW: LazyLock<u64> = LazyLock::new(|| SystemClock.now());

fn retention(notices: usize) -> Retention {
    Retention { seconds: DAY, notices }
}

fn revoked(sid: impl ToString, at: u64) -> Notice {
    let target = NoticeTarget::session("https://idp", sid.to_string());
    Notice::new(target, NoticeEffect::Revoked { except: None }, at, NoticeSource::App, "")
}

fn account(effect: NoticeEffect, at: u64) -> Notice {
    let target = NoticeTarget::subject("https://idp", "alice");
    Notice::new(target, effect, at, NoticeSource::App, "")
}

/// All notices that this follower has not read yet, in their JSON form.
async fn read(follower: &mut Box<dyn NoticeFollower>) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    loop {
        let batch = follower.next().await.expect("a log that can be read");
        all.extend(batch.notices.iter().map(|one| serde_json::to_string(one).expect("JSON")));
        if batch.complete_at.is_some() {
            return all;
        }
    }
}

fn json(notices: &[Notice]) -> BTreeSet<String> {
    notices.iter().map(|one| serde_json::to_string(one).expect("JSON")).collect()
}

/// Every follower reads every notice: those before it was created, and those after.
async fn every_follower_reads_every_notice(log: Arc<dyn NoticeLog>) {
    let first: Vec<Notice> = (0..30).map(|n| revoked(n, *NOW)).collect();
    let mut early = log.follow();
    assert_eq!(read(&mut early).await, BTreeSet::new());
    log.append(first.clone(), *NOW).await.expect("written");
    assert_eq!(read(&mut early).await, json(&first));
    let mut late = log.follow();
    assert_eq!(read(&mut late).await, json(&first));
    let second = vec![account(NoticeEffect::Disabled, *NOW), revoked("x", *NOW - 5)];
    log.append(second.clone(), *NOW).await.expect("written");
    for follower in [&mut early, &mut late] {
        assert_eq!(read(follower).await, json(&second));
        // A heartbeat, without notices.
        assert_eq!(read(follower).await, BTreeSet::new());
    }
}

/// At its limit a log refuses further notices and keeps those in force; notices that are over make room.
async fn a_full_log_refuses_notices_and_drops_none_in_force(log: Arc<dyn NoticeLog>) {
    let old: Vec<Notice> = (0..9).map(|n| revoked(n, *NOW)).collect();
    log.append(old.clone(), *NOW).await.expect("written");
    log.append(vec![account(NoticeEffect::Disabled, *NOW)], *NOW).await.expect("written");
    let further = || vec![revoked("further", *NOW)];
    let refused = log.append(further(), *NOW).await.expect_err("full");
    assert!(matches!(refused, SessionsError::Full { limit: 10 }), "{refused}");
    let all = [&old[..], &[account(NoticeEffect::Disabled, *NOW)]].concat();
    assert_eq!(read(&mut log.follow()).await, json(&all));
    let later = *NOW + DAY + 610;
    let fresh = vec![revoked("fresh", later)];
    log.append(fresh.clone(), later).await.expect("room");
    // An account stays disabled.
    let kept = [&fresh[..], &[account(NoticeEffect::Disabled, *NOW)]].concat();
    let stored = read(&mut log.follow()).await;
    assert!(stored.is_superset(&json(&kept)), "{stored:?}");
    let enabled = account(NoticeEffect::Enabled, later);
    log.append(vec![enabled], later).await.expect("written");
    let last = later + DAY + 610;
    for n in 0..9 {
        log.append(vec![revoked(format!("last-{n}"), last)], last).await.expect("room");
    }
    let stored = read(&mut log.follow()).await;
    assert!(!stored.iter().any(|one| one.contains("disabled")), "{stored:?}");
}

/// Concurrent writers do not lose notices.
async fn concurrent_writers_lose_nothing(log: Arc<dyn NoticeLog>) {
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let log = Arc::clone(&log);
        writers.spawn(async move {
            for n in 0..20 {
                log.append(vec![revoked(format!("{writer}-{n}"), *NOW)], *NOW)
                    .await
                    .expect("written");
            }
        });
    }
    let mut follower = log.follow();
    let mut seen = BTreeSet::new();
    writers.join_all().await;
    while seen.len() < 160 {
        seen.extend(read(&mut follower).await);
    }
    assert_eq!(read(&mut log.follow()).await, seen);
}

async fn run<L: NoticeLog + 'static>(open: impl Fn(Retention) -> L) {
    every_follower_reads_every_notice(Arc::new(open(retention(1000)))).await;
    a_full_log_refuses_notices_and_drops_none_in_force(Arc::new(open(retention(10)))).await;
    concurrent_writers_lose_nothing(Arc::new(open(retention(1000)))).await;
}

#[tokio::test(start_paused = true)]
async fn the_log_in_memory_conforms() {
    run(MemoryLog::new).await;
}

#[cfg(feature = "redb")]
mod redb {
    use super::*;
    use crate::session::redb_log::RedbLog;
    use std::cell::Cell;
    use std::fs;

    #[tokio::test]
    async fn the_log_in_a_file_conforms() {
        let folder = tempfile::tempdir().unwrap();
        let number = Cell::new(0);
        run(|retention| {
            number.set(number.get() + 1);
            let path = folder.path().join(format!("{}.redb", number.get()));
            RedbLog::open(&path, retention, *NOW).unwrap()
        })
        .await;
    }

    #[tokio::test]
    async fn a_reopened_file_has_every_notice_and_continues() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.redb");
        let mut all = Vec::new();
        for round in 0..3 {
            let log = RedbLog::open(&path, retention(100), *NOW).unwrap();
            assert_eq!(read(&mut log.follow()).await, json(&all));
            let notice = revoked(round, *NOW);
            log.append(vec![notice.clone()], *NOW).await.unwrap();
            all.push(notice);
            let second = RedbLog::open(&path, retention(100), *NOW).unwrap_err();
            assert!(matches!(second, SessionsError::InUse(_)), "{second}");
        }
    }

    #[tokio::test]
    async fn an_emptied_a_truncated_and_a_foreign_file_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.redb");
        let log = RedbLog::open(&path, retention(2000), *NOW).unwrap();
        log.append((0..1000).map(|n| revoked(n, *NOW)).collect(), *NOW).await.unwrap();
        drop(log);
        let whole = fs::read(&path).unwrap();
        for length in [0, 100, 4096, whole.len() / 2, whole.len() - 4096] {
            fs::write(&path, &whole[..length]).unwrap();
            let error = RedbLog::open(&path, retention(2000), *NOW);
            match error {
                Err(SessionsError::File { .. } | SessionsError::Emptied(_)) => {}
                Err(other) => panic!("{length}: {other}"),
                // A file that opens must not have lost anything.
                Ok(log) => assert_eq!(read(&mut log.follow()).await.len(), 1000, "{length}"),
            }
        }
        fs::write(&path, b"not a database").unwrap();
        let error = RedbLog::open(&path, retention(10), *NOW).unwrap_err();
        assert!(matches!(error, SessionsError::File { .. }), "{error}");
        fs::remove_file(&path).unwrap();
        drop(::redb::Database::create(&path).unwrap());
        let error = RedbLog::open(&path, retention(10), *NOW).unwrap_err();
        assert!(matches!(error, SessionsError::Emptied(_)), "{error}");
    }
}

#[cfg(feature = "redis")]
mod redis {
    use super::*;
    use crate::session::redis_log::RedisLog;
    use crate::session::redis_server::RedisServers;
    use std::cell::Cell;
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::sleep;

    /// A Redis server, which stops when this is dropped.
    struct Server {
        process: Child,
        url: String,
        _folder: tempfile::TempDir,
    }

    impl Server {
        async fn start(options: &[&str]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            drop(listener);
            let process = Command::new("redis-server")
                .args(["--port", &address.port().to_string(), "--bind", "127.0.0.1", "--save", ""])
                .arg("--dir")
                .arg(folder.path())
                .args(options)
                .stdout(Stdio::null())
                .spawn()
                .expect("redis-server starts; tests/run installs it");
            while TcpStream::connect(address).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
            Self { process, url: format!("redis://{address}"), _folder: folder }
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs redis-server; tests/run installs it"]
    async fn the_log_in_redis_conforms() {
        let server = Server::start(&[]).await;
        let number = Cell::new(0);
        run(|retention| {
            number.set(number.get() + 1);
            let servers = RedisServers::parse(&server.url).unwrap();
            RedisLog::new(servers, &format!("test-{}", number.get()), retention, 0)
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs redis-server; tests/run installs it"]
    async fn two_logs_at_one_server_share_their_notices_and_unconfirmed_ones_are_reported() {
        let server = Server::start(&[]).await;
        let log = |replicas| {
            let servers = RedisServers::parse(&server.url).unwrap();
            RedisLog::new(servers, "shared", retention(100), replicas)
        };
        let (one, two) = (log(0), log(0));
        let mut follower = two.follow();
        assert_eq!(read(&mut follower).await, BTreeSet::new());
        one.append(vec![revoked("a", *NOW)], *NOW).await.unwrap();
        assert_eq!(read(&mut follower).await, json(&[revoked("a", *NOW)]));
        // Without replicas, nothing is confirmed.
        let strict = log(1);
        let error = strict.append(vec![revoked("b", *NOW)], *NOW).await.unwrap_err();
        let unconfirmed = SessionsError::Unconfirmed { confirmed: 0, required: 1 };
        assert_eq!(error.to_string(), unconfirmed.to_string());
        assert_eq!(read(&mut follower).await, json(&[revoked("b", *NOW)]));
    }

    /// A follower must not lose what it read while the master had no replica: the same master continues.
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs redis-server; tests/run installs it"]
    async fn notices_that_are_read_without_a_replica_count_after_its_return() {
        let server = Server::start(&[]).await;
        let log = |replicas| {
            let servers = RedisServers::parse(&server.url).unwrap();
            RedisLog::new(servers, "shared", retention(100), replicas)
        };
        let all = [revoked("a", *NOW), revoked("b", *NOW), account(NoticeEffect::Disabled, *NOW)];
        log(0).append(all.to_vec(), *NOW).await.unwrap();
        let mut follower = log(1).follow();
        let mut seen = BTreeSet::new();
        let mut errors = 0;
        for _ in 0..4 {
            match follower.next().await {
                Ok(batch) => {
                    assert_eq!(batch.complete_at, None, "nothing was heard");
                    seen.extend(json(&batch.notices));
                }
                Err(error) => {
                    assert!(matches!(error, SessionsError::Unreachable(_)), "{error}");
                    errors += 1;
                }
            }
        }
        assert!(errors >= 2, "a start must end with an error: {errors}");
        let port = server.url.rsplit(':').next().unwrap();
        let _replica = Server::start(&["--replicaof", "127.0.0.1", port]).await;
        loop {
            if let Ok(batch) = follower.next().await {
                seen.extend(json(&batch.notices));
                if batch.complete_at.is_some() {
                    break;
                }
            }
        }
        assert_eq!(seen, json(&all));
    }
}
