//! A reader that goes away, as `head` does, changes nothing of what was decided.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use serde_json::{Value, json};
use std::fs;
use std::io::{self, BufRead, BufReader, PipeWriter};
use std::process::{Command, Stdio};
use stepup_runtime::testing::{AUDIENCE, TestIssuer};
use stepup_tests::command::stepup;
use stepup_tests::contracts::endpoint;
use stepup_tests::upstream::raw;

/// What nobody reads.
fn unread() -> PipeWriter {
    io::pipe().expect("a pipe").1
}

#[test]
fn a_verdict_stands_though_nobody_reads_it_to_its_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, age: u32| {
        let endpoints: Vec<Value> = (0..3000)
            .map(|at| {
                let mfa = json!({"step-up": true, "methods": ["mfa"], "max-age": age});
                endpoint("POST", &format!("/{at}"), &mfa)
            })
            .collect();
        let path = folder.path().join(name);
        fs::write(&path, Value::from(endpoints).to_string()).expect("a file");
        path.display().to_string()
    };
    let (old, new) = (file("old.json", 300), file("new.json", 9000));
    let claims = folder.path().join("claims.json");
    fs::write(&claims, "{}").expect("a file");
    let claims = claims.display().to_string();
    for (arguments, code) in [
        (&["diff", &old, &new][..], 1),
        (&["diff", &old, &new, "--output", "markdown"], 1),
        (&["diff", &new, &old], 0),
        (&["check", &new, "--deny", "warnings"], 1),
        (&["check", &claims], 1),
        (&["explain", &old, "POST", "/1", "--claims", &claims], 1),
        (&["render", "html", &old], 0),
        (&["diff", &old, "no such file"], 2),
        (
            &["gateway", "--contract", &claims, "--issuer", "https://a.example", "--audience", "a"],
            2,
        ),
    ] {
        for closed in ["stdout", "stderr", "both"] {
            let mut command = Command::new(stepup());
            command.args(arguments).current_dir(folder.path());
            command.stdout(Stdio::null()).stderr(Stdio::null());
            if closed != "stderr" {
                command.stdout(unread());
            }
            if closed != "stdout" {
                command.stderr(unread());
            }
            let status = command.status().expect("it runs");
            assert_eq!(status.code(), Some(code), "{arguments:?} with {closed} closed");
        }
    }
}

// Its issuer answers while the test waits for a line.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_whose_log_nobody_reads_goes_on() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let folder = tempfile::tempdir().expect("a folder");
    let contract = folder.path().join("contract.json");
    let write = |age: u32| {
        let mfa = json!({"step-up": true, "methods": ["mfa"], "max-age": age});
        fs::write(&contract, endpoint("GET", "/", &mfa).to_string()).expect("a file");
    };
    write(300);
    let mut gateway = Command::new(stepup())
        .args(["gateway", "--listen", "nginx=127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--issuer", idp.url(), "--audience", AUDIENCE, "--reload-seconds", "0.05"])
        .arg("--contract")
        .arg(&contract)
        .stdout(Stdio::piped())
        .stderr(unread())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(gateway.stdout.take().expect("its output")).lines();
    let ports = [(); 2].map(|()| {
        let line = lines.next().expect("a line").expect("text");
        line.split_once(" on ").expect("a port").1.parse().expect("an address")
    });
    let [asked, admin] = ports;
    // A contract that is taken is logged.
    write(600);
    let reloaded = "stepup_contract_reloads_total{taken=\"yes\"} 1";
    let mut metrics = String::new();
    for _ in 0..200 {
        metrics =
            raw(admin, b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        if metrics.contains(reloaded) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(metrics.contains(reloaded), "{metrics}");
    let token = idp.mfa_token();
    let question = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nx-original-method: GET\r\nx-original-uri: /\r\n\
         authorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    let answer = raw(asked, question.as_bytes()).await;
    gateway.kill().expect("it runs");
    gateway.wait().expect("it has run");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
