//! `stepup gateway` in a process of its own, and the real nginx, Caddy, Traefik and Envoy in front of an upstream. All of
//! them stop when they are dropped.

use crate::command::{run, stepup};
use crate::server::Answer;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// `stepup gateway`.
#[derive(Debug)]
pub struct Gateway {
    addresses: HashMap<String, SocketAddr>,
    /// Its contract.
    pub contract: PathBuf,
    settings: PathBuf,
    process: Child,
    log: Arc<Mutex<String>>,
    _folder: TempDir,
}

/// The ways of asking.
pub const MODES: [&str; 4] = ["nginx", "forward-auth", "envoy-http", "envoy-grpc"];

impl Gateway {
    /// Starts one with this contract and these settings, on free ports. The time that it sees stands still
    /// at `now`, where that is given, by the Debian package `faketime`.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(contract: &str, settings: &str, now: Option<u64>) -> Self {
        let started = Self::try_start(contract, settings, now, &[]).await;
        started.unwrap_or_else(|said| panic!("the gateway has not started: {said}"))
    }

    /// The same with further arguments.
    ///
    /// # Errors
    /// What it said before it ended.
    pub async fn try_start(
        contract: &str,
        settings: &str,
        now: Option<u64>,
        arguments: &[&str],
    ) -> Result<Self, String> {
        Self::try_start_in(&[], contract, settings, now, arguments).await
    }

    /// The same in an environment with these variables.
    ///
    /// # Errors
    /// What it said before it ended.
    pub async fn try_start_in(
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
        // `faketime` is one more process, which is killed without the one that it has started.
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
        while addresses.len() <= MODES.len() {
            let Some(line) = lines.next_line().await.expect("readable") else {
                let _ = logging.await;
                return Err(log.lock().expect("no panic").clone());
            };
            let (mode, address) = line.split_once(" on ").expect("a mode and an address");
            addresses.insert(mode.to_owned(), address.parse().expect("an address"));
        }
        Ok(Self { addresses, contract, settings: config, process, log, _folder: folder })
    }

    /// Where it is asked in this mode; `admin` is one, too.
    pub fn address(&self, mode: &str) -> SocketAddr {
        self.addresses[mode]
    }

    /// What it has logged.
    ///
    /// # Panics
    /// When another test thread has.
    pub fn log(&self) -> String {
        self.log.lock().expect("no panic").clone()
    }

    /// What operators are told at this path.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn admin(&self, path: &str) -> Answer {
        let url = format!("http://{}{path}", self.address("admin"));
        Answer::of(reqwest::Client::new().get(url)).await
    }

    /// Asks it to stop, as an operator does.
    ///
    /// # Panics
    /// When it cannot be asked.
    pub fn terminate(&self) {
        let id = self.process.id().expect("it runs").to_string();
        assert!(run(Path::new("kill"), &["-TERM", &id]).status.success());
    }

    /// Lets it have so many files and connections open from now on.
    ///
    /// # Panics
    /// When it does not run.
    pub fn limit_files(&self, number: u32) {
        let id = self.process.id().expect("it runs").to_string();
        let limit = format!("--nofile={number}:");
        assert!(run(Path::new("prlimit"), &["--pid", &id, &limit]).status.success());
    }

    /// Waits until it has ended, and tells whether it ended well.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn ended(&mut self) -> bool {
        let ended = timeout(Duration::from_secs(40), self.process.wait()).await;
        ended.expect("it ends").expect("a status").success()
    }

    /// Waits until it has logged this.
    ///
    /// # Panics
    /// When it does not within ten seconds.
    pub async fn logs(&self, text: &str) {
        for _ in 0..200 {
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

impl Drop for Proxy {
    fn drop(&mut self) {
        kill_group(&self.process);
    }
}

/// Ends a process and all that it has started.
fn kill_group(process: &Child) {
    if let Some(id) = process.id() {
        run(Path::new("kill"), &["-KILL", "--", &format!("-{id}")]);
    }
}

/// A time as `faketime` takes it: standing still at `2027-01-15 08:00:00` and so on.
fn calendar(now: u64) -> String {
    let output = run(Path::new("date"), &["-u", "-d", &format!("@{now}"), "+%F %T"]);
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A gateway of somebody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// nginx with `auth_request`.
    Nginx,
    /// Caddy with `forward_auth`.
    Caddy,
    /// Traefik with `forwardAuth`.
    Traefik,
    /// Envoy with `ext_authz` over HTTP.
    EnvoyHttp,
    /// Envoy with `ext_authz` over gRPC.
    EnvoyGrpc,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Nginx, Self::Caddy, Self::Traefik, Self::EnvoyHttp, Self::EnvoyGrpc];

    /// How it asks.
    pub fn mode(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy | Self::Traefik => "forward-auth",
            Self::EnvoyHttp => "envoy-http",
            Self::EnvoyGrpc => "envoy-grpc",
        }
    }
}

/// A real gateway, configured by `stepup render`.
#[derive(Debug)]
pub struct Proxy {
    /// Where clients come in.
    pub address: SocketAddr,
    process: Child,
    _folder: TempDir,
}

impl Proxy {
    /// Starts one in front of an upstream.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(kind: Kind, gateway: &Gateway, upstream: SocketAddr) -> Self {
        Self::started(kind, "", (gateway, kind.mode()), "127.0.0.1", upstream).await
    }

    /// Starts one that asks where another mode is listened in.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn asking(kind: Kind, mode: &str, gateway: &Gateway, upstream: SocketAddr) -> Self {
        Self::started(kind, "", (gateway, mode), "127.0.0.1", upstream).await
    }

    /// Starts one that finds the upstream and the gateway by the name of this machine.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_by_name(kind: Kind, gateway: &Gateway, upstream: SocketAddr) -> Self {
        Self::started(kind, "", (gateway, kind.mode()), "localhost", upstream).await
    }

    /// Starts nginx with these directives in its `http` block, before those that are rendered; `{folder}` is
    /// its own.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn nginx_with(inherited: &str, gateway: &Gateway, upstream: SocketAddr) -> Self {
        let asked = (gateway, Kind::Nginx.mode());
        Self::started(Kind::Nginx, inherited, asked, "127.0.0.1", upstream).await
    }

    async fn started(
        kind: Kind,
        inherited: &str,
        (gateway, mode): (&Gateway, &str),
        host: &str,
        upstream: SocketAddr,
    ) -> Self {
        let listen = free_port();
        let (name, over) = match kind {
            Kind::Nginx => ("nginx", None),
            Kind::Caddy => ("caddy", None),
            Kind::Traefik => ("traefik", None),
            Kind::EnvoyHttp => ("envoy", Some("http")),
            Kind::EnvoyGrpc => ("envoy", Some("grpc")),
        };
        let contract = gateway.contract.to_str().expect("a path of text");
        let at = |address: SocketAddr| format!("{host}:{}", address.port());
        let (listen_at, upstream, asked) =
            (listen.to_string(), at(upstream), at(gateway.address(mode)));
        let mut arguments = vec!["render", name, contract, "--listen", &listen_at];
        arguments.extend(["--upstream", &upstream, "--gateway", &asked]);
        arguments.extend(over.iter().flat_map(|over| ["--over", over]));
        let settings = gateway.settings.to_str().expect("a path of text");
        arguments.extend(["--config", settings]);
        let rendered = run(stepup(), &arguments);
        assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
        let text = String::from_utf8(rendered.stdout).expect("text");
        Self::configured(kind, inherited, &text, listen).await
    }

    /// Starts one with the configuration that the text says: of ports, those of clients, of the upstream and of the
    /// gateway are put in place of these.
    ///
    /// # Panics
    /// When it does not start, or the text does not have these ports.
    pub async fn written(
        kind: Kind,
        text: &str,
        ports: [&str; 3],
        gateway: &Gateway,
        upstream: SocketAddr,
    ) -> Self {
        let listen = free_port();
        let mut text = text.to_owned();
        let marks = ["\u{1}", "\u{2}", "\u{3}"];
        for (port, mark) in ports.into_iter().zip(marks) {
            assert!(text.contains(port), "{port} is not in:\n{text}");
            text = text.replace(port, mark);
        }
        // One of the new ports may have another of the old ones in it.
        for (mark, address) in
            marks.into_iter().zip([listen, upstream, gateway.address(kind.mode())])
        {
            text = text.replace(mark, &address.port().to_string());
        }
        Self::configured(kind, "", &text, listen).await
    }

    async fn configured(kind: Kind, inherited: &str, text: &str, listen: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join(match kind {
            Kind::Nginx | Kind::Caddy => "config",
            // By this name it finds the half that is read again when it changes.
            Kind::Traefik => "traefik.yml",
            Kind::EnvoyHttp | Kind::EnvoyGrpc => "config.yaml",
        });
        fs::write(&config, text).expect("a file");
        let mut command = match kind {
            Kind::Nginx => {
                let here = folder.path().display();
                let main = folder.path().join("nginx.conf");
                let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                    .iter()
                    .fold(String::new(), |text, what| {
                        format!("{text}{what}_temp_path {here}/{what}; ")
                    });
                let text = format!(
                    "daemon off; pid {here}/pid; error_log {here}/error.log; events {{}}\n\
                     http {{ access_log off; {temporary} {} include {}; }}\n",
                    inherited.replace("{folder}", &here.to_string()),
                    config.display()
                );
                fs::write(&main, text).expect("a file");
                let mut command = Command::new("nginx");
                command.arg("-e").arg(folder.path().join("error.log")).arg("-c").arg(main);
                command
            }
            Kind::Caddy => {
                let mut command = Command::new("caddy");
                // Its own port for operators is not asked for here.
                fs::write(&config, format!("{{\n\tadmin off\n}}\n{text}")).expect("a file");
                command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&config);
                command.env("HOME", folder.path()).env("XDG_DATA_HOME", folder.path());
                command
            }
            Kind::Traefik => {
                let mut command = Command::new("traefik");
                command.arg("--configFile=traefik.yml").current_dir(folder.path());
                command
            }
            Kind::EnvoyHttp | Kind::EnvoyGrpc => {
                let mut command = Command::new("envoy");
                command.arg("-c").arg(&config).args(["--concurrency", "1", "-l", "warn"]);
                command.arg("--disable-hot-restart");
                command
            }
        };
        // nginx has a worker, which outlives a master that is killed.
        command.process_group(0);
        let command = command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let process = command.spawn().expect("it starts; tests/run installs it");
        for _ in 0..200 {
            if answers(kind, listen).await {
                return Self { address: listen, process, _folder: folder };
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{kind:?} does not listen");
    }
}

/// Whether it takes requests, and knows what to do with them: Traefik listens before it does, and says 404 then.
async fn answers(kind: Kind, listen: SocketAddr) -> bool {
    if TcpStream::connect(listen).await.is_err() {
        return false;
    }
    // What the gateway refuses, so that it reaches no upstream.
    let refused = reqwest::Client::new().get(format!("http://{listen}/;"));
    kind != Kind::Traefik || refused.send().await.is_ok_and(|answer| answer.status() != 404)
}

/// A port that nobody has, and that nobody else here is given: below those that a system gives to who asks for any
/// (RFC 6335 §6), or a server of another test could take it before it is used. Two Envoys would share it.
fn free_port() -> SocketAddr {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).expect("below 10,000");
    loop {
        let port = first + GIVEN.fetch_add(1, Ordering::Relaxed);
        if let Ok(listener) = StdListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().expect("its address");
        }
    }
}

/// An issuer with a vector's vocabulary, as the settings have it.
///
/// # Panics
/// When the vocabulary is none.
pub fn settings_of(issuer: &str, audience: &str, vocabulary: &Map<String, Value>) -> toml::Table {
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
