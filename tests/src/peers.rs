//! Real components in processes of their own, stopped when they are dropped.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{Receiver, channel};

/// The real oidc-provider, with one user who has a password and a TOTP second factor.
#[derive(Debug)]
pub struct OidcProvider {
    /// Its issuer.
    pub issuer: String,
    process: Child,
    said: Receiver<String>,
}

/// The user's secret, in base32.
pub const TOTP_SECRET: &str = "KRSXG5BAONUWO3TBORUW63RAONSWG4TF";

/// The user's password.
pub const PASSWORD: &str = "correct horse battery staple";

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name)
}

impl OidcProvider {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// When it does not start; its packages are installed by `tests/run`.
    pub async fn start() -> Self {
        let mut process = Command::new("node")
            .args(["--no-warnings", "provider.mjs"])
            .current_dir(folder("oidc"))
            .env("TOTP_SECRET", TOTP_SECRET)
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
        // What it says later must go somewhere, or it dies of a closed pipe.
        let (sender, said) = channel(16);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let _ = sender.try_send(line);
            }
        });
        Self { issuer, process, said }
    }

    /// Signs with a new key from now on, and publishes the old ones beside it.
    ///
    /// # Panics
    /// When it does not.
    pub async fn rotate(&mut self) {
        self.command("rotate").await;
    }

    /// Publishes the newest key alone.
    ///
    /// # Panics
    /// When it does not.
    pub async fn retire(&mut self) {
        self.command("retire").await;
    }

    async fn command(&mut self, line: &str) {
        let stdin = self.process.stdin.as_mut().expect("its standard input");
        stdin.write_all(format!("{line}\n").as_bytes()).await.expect("it reads");
        while let Some(said) = self.said.recv().await {
            if said.contains(&format!("\"done\":\"{line}\"")) {
                return;
            }
        }
        panic!("oidc-provider has ended");
    }
}
