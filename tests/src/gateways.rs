//! Runs `stepup gateway` as a child process.

use crate::command::{run, stepup};
use crate::server::Answer;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// A running `stepup gateway`. The process stops when this is dropped.
#[derive(Debug)]
pub struct Gateway {
    addresses: HashMap<String, SocketAddr>,
    /// The path of its contract file.
    pub contract: PathBuf,
    pub(crate) settings: PathBuf,
    process: Child,
    log: Arc<Mutex<String>>,
    _folder: TempDir,
}

/// The modes of the gateway. Each mode has its own port and its own form of check requests.
pub const MODES: [&str; 4] = ["nginx", "forward-auth", "envoy-http", "envoy-grpc"];

impl Gateway {
    /// Starts a gateway with this contract and these settings, on free ports. If `now` is given, `faketime` (a Debian
    /// package) stops the gateway's clock at that time.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(contract: &str, settings: &str, now: Option<u64>) -> Self {
        let started = Self::try_start(contract, settings, now, &[]).await;
        started.unwrap_or_else(|log| panic!("the gateway did not start: {log}"))
    }

    /// Like [`Gateway::start`], with more arguments.
    ///
    /// # Errors
    /// Returns the log if the process ends.
    pub async fn try_start(
        contract: &str,
        settings: &str,
        now: Option<u64>,
        arguments: &[&str],
    ) -> Result<Self, String> {
        Self::try_start_with_env(&[], contract, settings, now, arguments).await
    }

    /// Like [`Gateway::try_start`], with these environment variables.
    ///
    /// # Errors
    /// Returns the log if the process ends.
    pub async fn try_start_with_env(
        environment: &[(&str, &str)],
        contract: &str,
        settings: &str,
        now: Option<u64>,
        arguments: &[&str],
    ) -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("a file");
            path
        };
        let (contract, config) = (file("contract.json", contract), file("stepup.toml", settings));
        let mut command = match now {
            None => Command::new(stepup()),
            Some(now) => {
                let mut command = Command::new("faketime");
                command.env("TZ", "UTC").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
                command.arg("-f").arg(calendar(now)).arg(stepup());
                command
            }
        };
        command.arg("gateway").arg("--contract").arg(&contract).arg("--config").arg(&config);
        for mode in MODES {
            command.arg("--listen").arg(format!("{mode}=127.0.0.1:0"));
        }
        command.args(["--admin", "127.0.0.1:0", "--reload-seconds", "0.05"]).args(arguments);
        command.envs(environment.iter().copied());
        // `faketime` starts the gateway as a child process. The process group makes it possible to kill both.
        command.process_group(0);
        let spawned =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn();
        let mut process = spawned.expect("it starts; tests/run installs faketime");
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = process.stderr.take().expect("its standard error");
        let keep = Arc::clone(&log);
        let mut errors = BufReader::new(stderr).lines();
        let logging = tokio::spawn(async move {
            while let Ok(Some(line)) = errors.next_line().await {
                let _ = writeln!(keep.lock().expect("no panic"), "{line}");
            }
        });
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let mut addresses = HashMap::new();
        // The admin server is the last one.
        while !addresses.contains_key("admin") {
            let Some(line) = lines.next_line().await.expect("readable") else {
                let _ = logging.await;
                return Err(log.lock().expect("no panic").clone());
            };
            let (mode, address) = line.split_once(" on ").expect("a mode and an address");
            addresses.insert(mode.to_owned(), address.parse().expect("an address"));
        }
        Ok(Self { addresses, contract, settings: config, process, log, _folder: folder })
    }

    /// The address of this mode, or of the admin server for `admin`.
    pub fn address(&self, mode: &str) -> SocketAddr {
        self.addresses[mode]
    }

    /// The log so far.
    ///
    /// # Panics
    /// If another thread panicked while it held the lock.
    pub fn log(&self) -> String {
        self.log.lock().expect("no panic").clone()
    }

    /// Sends a GET request for this path to the admin server.
    ///
    /// # Panics
    /// If the server does not respond.
    pub async fn admin(&self, path: &str) -> Answer {
        let url = format!("http://{}{path}", self.address("admin"));
        Answer::of(reqwest::Client::new().get(url)).await
    }

    /// Sends the process a SIGTERM.
    ///
    /// # Panics
    /// If the signal cannot be sent.
    pub fn terminate(&self) {
        let id = self.process.id().expect("it runs").to_string();
        assert!(run(Path::new("kill"), &["-TERM", &id]).status.success());
    }

    /// Limits the number of files and connections that the process can open, from now on.
    ///
    /// # Panics
    /// If the process does not run.
    pub fn limit_files(&self, number: u32) {
        let id = self.process.id().expect("it runs").to_string();
        let limit = format!("--nofile={number}:");
        assert!(run(Path::new("prlimit"), &["--pid", &id, &limit]).status.success());
    }

    /// Waits for the process to exit. Returns whether it exited successfully.
    ///
    /// # Panics
    /// If it does not exit within 40 seconds.
    pub async fn wait_for_exit(&mut self) -> bool {
        let ended = timeout(Duration::from_secs(40), self.process.wait()).await;
        ended.expect("it ends").expect("a status").success()
    }

    /// Waits until the log contains this text.
    ///
    /// # Panics
    /// If that takes longer than 40 seconds.
    pub async fn wait_for_log(&self, text: &str) {
        for _ in 0..800 {
            if self.log().contains(text) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{text:?} is not in the log:\n{}", self.log());
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        kill_group(&self.process);
    }
}

/// Kills a process and all processes that it has started.
pub(crate) fn kill_group(process: &Child) {
    if let Some(id) = process.id() {
        run(Path::new("kill"), &["-KILL", "--", &format!("-{id}")]);
    }
}

/// A time in the format of `faketime`, such as `2027-01-15 08:00:00`. The clock does not advance from there.
fn calendar(now: u64) -> String {
    let output = run(Path::new("date"), &["-u", "-d", &format!("@{now}"), "+%F %T"]);
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The settings of an issuer with the vocabulary of a decision vector.
///
/// # Panics
/// If the vocabulary is invalid.
pub fn issuer_settings(
    issuer: &str,
    audience: &str,
    vocabulary: &Map<String, Value>,
) -> toml::Table {
    let toml = |value: &Value| toml::Value::try_from(value).expect("no null");
    let mut settings = toml::Table::new();
    settings.insert("issuer".into(), issuer.into());
    settings.insert("audience".into(), audience.into());
    for (key, value) in vocabulary {
        let pairs = || value.as_array().into_iter().flatten();
        let (key, value) = match key.as_str() {
            "ask" | "proves" => {
                let pairs =
                    pairs().map(|pair| (pair[0].as_str().expect("text").into(), toml(&pair[1])));
                (key.as_str(), toml::Value::Table(pairs.collect()))
            }
            "amr-proves" => {
                let tables =
                    pairs().map(|pair| toml(&json!({"values": pair[0], "methods": pair[1]})));
                (key.as_str(), toml::Value::Array(tables.collect()))
            }
            "may-step-up" => ("may-not-step-up", (value == &Value::Bool(false)).into()),
            other => (other, toml(value)),
        };
        settings.insert(key.to_owned(), value);
    }
    settings
}
