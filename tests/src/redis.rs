//! Runs real Redis servers: single ones, a cluster, and a master with replicas and sentinels.

use crate::proxy::free_port;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::time::sleep;

/// The longest time until a deployment is ready again.
const LONGEST: Duration = Duration::from_secs(30);

/// A Redis server or sentinel. The process stops when this is dropped.
#[derive(Debug)]
pub struct RedisServer {
    /// Its port on loopback.
    pub port: u16,
    program: &'static str,
    arguments: Vec<String>,
    process: Child,
    folder: TempDir,
}

impl RedisServer {
    /// Starts a server with these options.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port().port();
        let mut arguments = vec!["--port".to_owned(), port.to_string()];
        // Otherwise a killed master may come back without its last writes, and its replicas would follow it.
        let durable = ["--appendonly", "yes", "--appendfsync", "always"];
        arguments.extend(["--bind", "127.0.0.1", "--save", ""].map(str::to_owned));
        arguments.extend(durable.map(str::to_owned));
        arguments.extend(options.iter().map(|&option| option.to_owned()));
        Self::spawn("redis-server", port, arguments, folder).await
    }

    async fn sentinel(master: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port().port();
        let config = folder.path().join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n"
        );
        fs::write(&config, text).expect("a file");
        let arguments = vec![config.to_str().expect("text").to_owned()];
        Self::spawn("redis-sentinel", port, arguments, folder).await
    }

    async fn spawn(
        program: &'static str,
        port: u16,
        arguments: Vec<String>,
        folder: TempDir,
    ) -> Self {
        let process = spawn(program, &arguments, folder.path());
        let server = Self { port, program, arguments, process, folder };
        server.wait_for("PONG", &["PING"]).await;
        server
    }

    /// Kills the process with SIGKILL.
    ///
    /// # Panics
    /// If it is not running.
    pub fn kill(&mut self) {
        self.process.kill().expect("a running process");
        self.process.wait().expect("its end");
    }

    /// Stops the process with SIGSTOP, as a partition would. SIGCONT continues it.
    ///
    /// # Panics
    /// If `kill` cannot be run.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.process.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Starts the process again, with its data.
    pub async fn restart(&mut self) {
        self.process = spawn(self.program, &self.arguments, self.folder.path());
        self.wait_for("PONG", &["PING"]).await;
    }

    /// The URL of the server.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The output of a command.
    pub fn command(&self, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        let output = cli(&[&["-p", &port], arguments].concat());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    async fn wait_for(&self, expected: &str, arguments: &[&str]) {
        let started = Instant::now();
        while !self.command(arguments).contains(expected) {
            assert!(started.elapsed() < LONGEST, "{arguments:?}: {}", self.command(arguments));
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(program: &str, arguments: &[String], folder: &Path) -> Child {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("Redis starts; tests/run installs it")
}

fn cli(arguments: &[&str]) -> Output {
    Command::new("redis-cli").args(arguments).output().expect("redis-cli runs")
}

/// A cluster of three masters, each with a replica.
#[derive(Debug)]
pub struct RedisCluster {
    /// The nodes.
    pub nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts the cluster.
    ///
    /// # Panics
    /// If it is not ready in time.
    pub async fn start() -> Self {
        let mut nodes = Vec::new();
        for _ in 0..6 {
            let bus = free_port().port().to_string();
            let options = ["--cluster-enabled", "yes", "--cluster-port", &bus];
            let more = ["--cluster-node-timeout", "500", "--cluster-replica-validity-factor", "0"];
            nodes.push(RedisServer::start(&[options, more].concat()).await);
        }
        let addresses: Vec<String> =
            nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        let mut create = vec!["--cluster", "create"];
        create.extend(addresses.iter().map(String::as_str));
        create.extend(["--cluster-replicas", "1", "--cluster-yes"]);
        let created = cli(&create);
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stdout));
        let cluster = Self { nodes };
        for node in &cluster.nodes {
            node.wait_for("cluster_state:ok", &["CLUSTER", "INFO"]).await;
        }
        for master in &cluster.nodes[..3] {
            master.wait_for("state=online", &["INFO", "replication"]).await;
        }
        cluster
    }

    /// The URL with all nodes.
    pub fn url(&self) -> String {
        let hosts = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port));
        format!("redis://{}", hosts.collect::<Vec<_>>().join(","))
    }

    /// The index of the running master that holds this key, and the number of its replicas that are connected.
    pub fn master_of(&self, key: &str) -> Option<(usize, usize)> {
        self.nodes.iter().enumerate().find_map(|(index, node)| {
            let owns = !node.command(&["EXISTS", key]).contains("MOVED");
            let replication = node.command(&["INFO", "replication"]);
            let master = owns && replication.contains("role:master");
            let replicas = replication.matches("state=online").count();
            master.then_some((index, replicas))
        })
    }
}

/// A master with two replicas, and three sentinels that watch it as `main`.
#[derive(Debug)]
pub struct RedisSentinels {
    /// The servers; the first one starts as the master.
    pub servers: Vec<RedisServer>,
    sentinels: Vec<RedisServer>,
}

impl RedisSentinels {
    /// Starts all of them.
    ///
    /// # Panics
    /// If they are not ready in time.
    pub async fn start() -> Self {
        let master = RedisServer::start(&[]).await;
        let port = master.port.to_string();
        let mut servers = vec![master];
        for _ in 0..2 {
            servers.push(RedisServer::start(&["--replicaof", "127.0.0.1", &port]).await);
        }
        servers[0].wait_for("connected_slaves:2", &["INFO", "replication"]).await;
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(RedisServer::sentinel(servers[0].port).await);
        }
        for replica in ["slave0:", "slave1:"] {
            servers[0].wait_for(replica, &["INFO", "replication"]).await;
        }
        servers[0].wait_for("state=online,offset", &["INFO", "replication"]).await;
        for sentinel in &sentinels {
            sentinel.wait_for("sentinels=3", &["INFO", "sentinel"]).await;
        }
        Self { servers, sentinels }
    }

    /// The URL with all sentinels.
    pub fn url(&self) -> String {
        let hosts = self.sentinels.iter().map(|one| format!("127.0.0.1:{}", one.port));
        format!("redis+sentinel://{}/main", hosts.collect::<Vec<_>>().join(","))
    }

    /// The index of the server that the sentinels name as the master.
    ///
    /// # Panics
    /// If they name another server.
    pub fn master(&self) -> usize {
        let named = self.sentinels[0].command(&["SENTINEL", "get-master-addr-by-name", "main"]);
        let port = |server: &RedisServer| named.contains(&server.port.to_string());
        self.servers.iter().position(port).expect("one of the servers")
    }
}
