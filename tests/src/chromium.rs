//! A web page in Chromium, and the results that the page reports.

use crate::server::Server;
use axum::response::Html;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::process::Command;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::timeout;

/// A page at its own origin, whose script is set later.
#[derive(Debug)]
pub struct Page {
    server: Server,
    script: Arc<Mutex<String>>,
    results: Receiver<Vec<Value>>,
}

impl Page {
    /// Starts the server of a page without a script.
    pub async fn start() -> Self {
        let script = Arc::new(Mutex::new(String::new()));
        let shared = Arc::clone(&script);
        let serve = move || {
            let script = shared.lock().expect("no panic").clone();
            async move { Html(format!("<!doctype html><script type=\"module\">{script}</script>")) }
        };
        let (sender, results) = channel(1);
        let report = move |Json(results): Json<Vec<Value>>| async move {
            let _ = sender.send(results).await;
        };
        let server = Server::start(Router::new().route("/", get(serve).post(report))).await;
        Self { server, script, results }
    }

    /// The origin of the page.
    pub fn origin(&self) -> String {
        self.server.url("")
    }

    /// Sets the script, which sets a list named `results`.
    ///
    /// # Panics
    /// If another thread panicked while it held the lock.
    pub fn set(&self, script: &str) {
        let report = "await fetch('/', { method: 'POST', headers: { 'content-type': 'application/json' }, body: \
                      JSON.stringify(results) });";
        *self.script.lock().expect("no panic") = format!("{script}\n{report}");
    }

    /// The results of the script in Chromium.
    ///
    /// # Panics
    /// If Chromium does not run, or the script does not report its results in time.
    pub async fn results(&mut self) -> Vec<Value> {
        let folder = tempfile::tempdir().expect("a folder");
        let profile = format!("--user-data-dir={}", folder.path().display());
        let mut chromium = Command::new("chromium")
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
            ])
            .args(["--disable-component-update", "--remote-debugging-port=0"])
            .args([&profile, &self.server.url("/")])
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("Chromium runs");
        let results = timeout(Duration::from_secs(60), self.results.recv()).await;
        chromium.kill().await.expect("Chromium stops");
        results.expect("the script reports its results in time").expect("a running server")
    }
}
