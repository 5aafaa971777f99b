//! Runs the real nginx, Caddy, Traefik and Envoy as child processes, configured by `stepup render`, and HAProxy and Apache,
//! configured by the files in `docs/gateways`.

use crate::command::{run, stepup, workspace};
use crate::gateways::{Gateway, kill_group};
use crate::upstream::send_raw;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener as StdListener};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

/// A third-party proxy, and how it sends checks to Step-up.
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
    /// HAProxy with a Lua script.
    Haproxy,
    /// Apache with a Lua script.
    Apache,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Nginx,
        Self::Caddy,
        Self::Traefik,
        Self::EnvoyHttp,
        Self::EnvoyGrpc,
        Self::Haproxy,
        Self::Apache,
    ];

    /// The kinds that `stepup render` configures.
    pub const RENDERED: [Self; 5] =
        [Self::Nginx, Self::Caddy, Self::Traefik, Self::EnvoyHttp, Self::EnvoyGrpc];

    /// The mode of `stepup gateway` that serves this kind.
    pub fn mode(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy | Self::Traefik | Self::Haproxy | Self::Apache => "forward-auth",
            Self::EnvoyHttp => "envoy-http",
            Self::EnvoyGrpc => "envoy-grpc",
        }
    }
}

/// How a proxy is started.
struct Options<'a> {
    /// Directives in nginx's `http` block.
    inherited: &'a str,
    /// The host of the upstream and of the gateway in the configuration.
    host: &'a str,
    websockets: bool,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { inherited: "", host: "127.0.0.1", websockets: false }
    }
}

/// The name of its log file, in its folder.
const LOG: &str = "error.log";

/// A running proxy that sends a check to `stepup gateway` for each request. The process stops when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// The address for clients.
    pub address: SocketAddr,
    process: Child,
    folder: TempDir,
    /// The folder of a documented script.
    script: Option<TempDir>,
}

impl Proxy {
    /// Starts a proxy for this upstream.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(kind: Kind, gateway: &Gateway, upstream: SocketAddr) -> Self {
        Self::start_with(kind, Options::default(), (gateway, kind.mode()), upstream).await
    }

    /// Starts a proxy that sends its checks to the port of this mode, which can be a wrong one.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_in_mode(
        kind: Kind,
        mode: &str,
        gateway: &Gateway,
        upstream: SocketAddr,
    ) -> Self {
        Self::start_with(kind, Options::default(), (gateway, mode), upstream).await
    }

    /// Starts a proxy whose configuration has a host name for the upstream and for the gateway.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_by_name(kind: Kind, gateway: &Gateway, upstream: SocketAddr) -> Self {
        let options = Options { host: "localhost", ..Options::default() };
        Self::start_with(kind, options, (gateway, kind.mode()), upstream).await
    }

    /// Starts a proxy that passes WebSockets on.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_with_websockets(
        kind: Kind,
        gateway: &Gateway,
        upstream: SocketAddr,
    ) -> Self {
        let options = Options { websockets: true, ..Options::default() };
        Self::start_with(kind, options, (gateway, kind.mode()), upstream).await
    }

    /// Starts nginx with these directives in its `http` block, before the rendered ones. `{folder}` is replaced
    /// with the folder of the process.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_nginx_with(
        inherited: &str,
        gateway: &Gateway,
        upstream: SocketAddr,
    ) -> Self {
        let options = Options { inherited, ..Options::default() };
        Self::start_with(Kind::Nginx, options, (gateway, Kind::Nginx.mode()), upstream).await
    }

    /// Sends a request with these header fields. Returns the status and the bytes of the response.
    ///
    /// # Panics
    /// If the proxy does not respond.
    pub async fn call(&self, line: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let mut request = format!("{line} HTTP/1.1\r\nHost: api\r\nContent-Length: 0\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        let answer = send_raw(self.address, request.as_bytes()).await;
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or_else(|| panic!("{line}: {answer:?}")), answer)
    }

    /// The log so far.
    ///
    /// # Panics
    /// If the log file cannot be read.
    pub fn log(&self) -> String {
        let log = fs::read(self.folder.path().join(LOG)).expect("a file");
        String::from_utf8_lossy(&log).into_owned()
    }

    async fn start_with(
        kind: Kind,
        Options { inherited, host, websockets }: Options<'_>,
        (gateway, mode): (&Gateway, &str),
        upstream: SocketAddr,
    ) -> Self {
        let listen = free_port();
        let (name, over) = match kind {
            Kind::Nginx => ("nginx", None),
            Kind::Caddy => ("caddy", None),
            Kind::Traefik => ("traefik", None),
            Kind::EnvoyHttp => ("envoy", Some("http")),
            Kind::EnvoyGrpc => ("envoy", Some("grpc")),
            Kind::Haproxy | Kind::Apache => {
                let at = |address: SocketAddr| format!("{host}:{}", address.port());
                let addresses = [listen.to_string(), at(upstream), at(gateway.address(mode))];
                return Self::run_documented(kind, websockets, listen, addresses).await;
            }
        };
        let contract = gateway.contract.to_str().expect("a path of text");
        let at = |address: SocketAddr| format!("{host}:{}", address.port());
        let (listen_at, upstream, gateway_at) =
            (listen.to_string(), at(upstream), at(gateway.address(mode)));
        let mut arguments = vec!["render", name, contract, "--listen", &listen_at];
        arguments.extend(["--upstream", &upstream, "--gateway", &gateway_at]);
        arguments.extend(over.iter().flat_map(|over| ["--over", over]));
        let settings = gateway.settings.to_str().expect("a path of text");
        arguments.extend(["--config", settings]);
        arguments.extend(websockets.then_some("--websockets"));
        let rendered = run(stepup(), &arguments);
        assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
        let text = String::from_utf8(rendered.stdout).expect("text");
        Self::run_config(kind, inherited, &text, listen).await
    }

    /// Starts a proxy with this configuration. The three ports in the text, for clients, the upstream and the gateway,
    /// are replaced with the actual ones.
    ///
    /// # Panics
    /// If the proxy does not start, or if the text does not contain these ports.
    pub async fn start_with_config(
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
        // In two steps, because a new port could contain the digits of an old one.
        for (mark, address) in
            marks.into_iter().zip([listen, upstream, gateway.address(kind.mode())])
        {
            text = text.replace(mark, &address.port().to_string());
        }
        Self::run_config(kind, "", &text, listen).await
    }

    /// Starts HAProxy or Apache with the documented files, in which the addresses for clients, the upstream and the gateway
    /// are replaced.
    async fn run_documented(
        kind: Kind,
        websockets: bool,
        listen: SocketAddr,
        addresses: [String; 3],
    ) -> Self {
        let (folder, file) = match kind {
            Kind::Haproxy => ("haproxy", "haproxy.cfg"),
            _ => ("apache", "apache.conf"),
        };
        let read = |file: &str| {
            let path = workspace().join("docs/gateways").join(folder).join(file);
            fs::read_to_string(path).expect("a file")
        };
        let replace = |text: String| {
            let documented = ["127.0.0.1:8080", "127.0.0.1:3000", "127.0.0.1:9002"];
            let marks = ["\u{1}", "\u{2}", "\u{3}"];
            let marked = documented
                .iter()
                .zip(marks)
                .fold(text, |text, (old, mark)| text.replace(old, mark));
            marks.iter().zip(&addresses).fold(marked, |text, (mark, new)| text.replace(mark, new))
        };
        let script = tempfile::tempdir().expect("a folder");
        let path = script.path().join("stepup.lua");
        fs::write(&path, replace(read("stepup.lua"))).expect("a file");
        let installed = ["/etc/haproxy/stepup.lua", "/etc/apache2/stepup.lua"];
        let path = path.to_str().expect("a path of text");
        let mut text = installed.iter().fold(read(file), |text, old| text.replace(old, path));
        if websockets {
            for (old, new) in [
                ("    http-request del-header connection\n", ""),
                ("    http-request del-header upgrade\n", ""),
                ("#http-request", "http-request"),
                ("/\" nocanon", "/\" nocanon upgrade=websocket"),
            ] {
                text = text.replace(old, new);
            }
        }
        let mut proxy = Self::run_config(kind, "", &replace(text), listen).await;
        proxy.script = Some(script);
        proxy
    }

    async fn run_config(kind: Kind, inherited: &str, text: &str, listen: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join(match kind {
            Kind::Nginx | Kind::Caddy => "config",
            // The rendered file refers to itself by this name, for the part that Traefik reloads.
            Kind::Traefik => "traefik.yml",
            Kind::EnvoyHttp | Kind::EnvoyGrpc => "config.yaml",
            Kind::Haproxy | Kind::Apache => "config.conf",
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
                    "daemon off; pid {here}/pid; error_log {here}/{LOG}; events {{}}\n\
                     http {{ access_log off; {temporary} {} include {}; }}\n",
                    inherited.replace("{folder}", &here.to_string()),
                    config.display()
                );
                fs::write(&main, text).expect("a file");
                let mut command = Command::new("nginx");
                command.arg("-e").arg(folder.path().join(LOG)).arg("-c").arg(main);
                command
            }
            Kind::Caddy => {
                let mut command = Command::new("caddy");
                // Caddy's admin port would be the same for all tests.
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
            Kind::Haproxy => {
                let mut command = Command::new("haproxy");
                command.arg("-db").arg("-f").arg(&config);
                command
            }
            Kind::Apache => {
                let here = folder.path().display();
                let main = folder.path().join("apache.conf");
                let modules = ["mpm_event", "authz_core", "lua", "proxy", "proxy_http"];
                let modules = modules.map(|name| {
                    format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n")
                });
                let text = format!(
                    "{}ServerName localhost\nPidFile {here}/pid\nErrorLog {here}/{LOG}\n\
                     DefaultRuntimeDir {here}\nUser www-data\nGroup www-data\nInclude {}\n",
                    modules.concat(),
                    config.display()
                );
                fs::write(&main, text).expect("a file");
                let mut command = Command::new("apache2");
                command.arg("-X").arg("-f").arg(main);
                command
            }
        };
        // nginx has worker processes, which survive if only the master is killed.
        command.process_group(0);
        let log = File::options().create(true).append(true).open(folder.path().join(LOG));
        let command = command.stdout(Stdio::null()).stderr(log.expect("a file")).kill_on_drop(true);
        let process = command.spawn().expect("it starts; tests/run installs it");
        for _ in 0..200 {
            if is_ready(kind, listen).await {
                return Self { address: listen, process, folder, script: None };
            }
            sleep(Duration::from_millis(50)).await;
        }
        let started = Self { address: listen, process, folder, script: None };
        panic!("{kind:?} does not listen:\n{}", started.log());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        kill_group(&self.process);
    }
}

/// Whether the proxy is ready. Traefik listens before it has loaded its routes, and responds with 404 until then.
async fn is_ready(kind: Kind, listen: SocketAddr) -> bool {
    if TcpStream::connect(listen).await.is_err() {
        return false;
    }
    // The gateway refuses this path, so the request does not reach the upstream.
    let refused = reqwest::Client::new().get(format!("http://{listen}/;"));
    kind != Kind::Traefik || refused.send().await.is_ok_and(|answer| answer.status() != 404)
}

/// A free port that no other call returns. It is below the dynamic ports (RFC 6335 §6): otherwise the system could
/// assign it to a server of another test before the proxy uses it. Two Envoys would even share the port without an
/// error.
pub(crate) fn free_port() -> SocketAddr {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).expect("below 10,000");
    loop {
        let port = first + GIVEN.fetch_add(1, Ordering::Relaxed);
        if let Ok(listener) = StdListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().expect("its address");
        }
    }
}
