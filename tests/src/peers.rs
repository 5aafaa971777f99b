//! Runs third-party identity providers as child processes.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{Receiver, channel};

/// The real oidc-provider, with one user who has a password and TOTP as the second factor. The process stops when this
/// is dropped.
#[derive(Debug)]
pub struct OidcProvider {
    /// Its issuer identifier.
    pub issuer: String,
    process: Child,
    output: Receiver<String>,
}

/// The user's TOTP secret, in base32.
pub const TOTP_SECRET: &str = "KRSXG5BAONUWO3TBORUW63RAONSWG4TF";

/// The user's password.
pub const PASSWORD: &str = "correct horse battery staple";

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name)
}

impl OidcProvider {
    /// Starts a provider on a free port. `tests/run` installs its packages.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts a provider that reports the end of each session to this URL (OpenID Connect Back-Channel Logout).
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_with(logout_uri: &str) -> Self {
        let mut process = Command::new("node")
            .args(["--no-warnings", "provider.mjs"])
            .current_dir(folder("oidc"))
            .env("TOTP_SECRET", TOTP_SECRET)
            .env("LOGOUT_URI", logout_uri)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node starts; run tests/run");
        let stdout = process.stdout.take().expect("its standard output");
        let mut lines = BufReader::new(stdout).lines();
        let issuer = loop {
            let line = lines.next_line().await.expect("readable");
            let line = line.expect("oidc-provider starts; tests/run installs it");
            if let Ok(Value::Object(ready)) = serde_json::from_str(&line) {
                break ready["issuer"].as_str().expect("an issuer").to_owned();
            }
        };
        // Later output must be read as well: if the pipe were closed, the next write would end the process.
        let (sender, output) = channel(16);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let _ = sender.try_send(line);
            }
        });
        Self { issuer, process, output }
    }

    /// Makes the provider sign with a new key from now on, and publish the old keys as well.
    ///
    /// # Panics
    /// If the provider does not confirm it.
    pub async fn rotate(&mut self) {
        self.command("rotate").await;
    }

    /// Makes the provider publish only the newest key.
    ///
    /// # Panics
    /// If the provider does not confirm it.
    pub async fn retire(&mut self) {
        self.command("retire").await;
    }

    async fn command(&mut self, line: &str) {
        let stdin = self.process.stdin.as_mut().expect("its standard input");
        stdin.write_all(format!("{line}\n").as_bytes()).await.expect("it reads");
        while let Some(reply) = self.output.recv().await {
            if reply.contains(&format!("\"done\":\"{line}\"")) {
                return;
            }
        }
        panic!("oidc-provider has ended");
    }
}
