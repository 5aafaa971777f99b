//! A closed output pipe, as with `| head`, changes neither the exit code nor what the gateway decides.

use serde_json::{Value, json};
use std::fs;
use std::io::{self, BufRead, BufReader, PipeWriter};
use std::process::{Command, Stdio};
use stepup_runtime::testing::{AUDIENCE, TestIssuer};
use stepup_tests::command::stepup;
use stepup_tests::contracts::endpoint;
use stepup_tests::upstream::send_raw;

/// A pipe whose reading end is closed.
fn closed_pipe() -> PipeWriter {
    io::pipe().expect("a pipe").1
}

#[test]
fn a_closed_output_pipe_does_not_change_the_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, age: u32| {
        let endpoints: Vec<Value> = (0..3000)
            .map(|index| {
                let mfa = json!({"step-up": true, "methods": ["mfa"], "max-age": age});
                endpoint("POST", &format!("/{index}"), &mfa)
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
                command.stdout(closed_pipe());
            }
            if closed != "stdout" {
                command.stderr(closed_pipe());
            }
            let status = command.status().expect("the command runs");
            assert_eq!(status.code(), Some(code), "{arguments:?} with {closed} closed");
        }
    }
}

// The test blocks while it reads a line, and the issuer must respond on another thread.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_keeps_running_after_its_log_pipe_is_closed() {
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
        .stderr(closed_pipe())
        .spawn()
        .expect("the gateway starts");
    let mut lines = BufReader::new(gateway.stdout.take().expect("its output")).lines();
    let ports = [(); 2].map(|()| {
        let line = lines.next().expect("a line").expect("text");
        line.split_once(" on ").expect("a port").1.parse().expect("an address")
    });
    let [authorizer, admin] = ports;
    // The gateway logs that it reloaded the contract.
    write(600);
    let reloaded = "stepup_contract_reloads_total{taken=\"yes\"} 1";
    let mut metrics = String::new();
    for _ in 0..800 {
        metrics =
            send_raw(admin, b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        if metrics.contains(reloaded) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(metrics.contains(reloaded), "{metrics}");
    let token = idp.mfa_token();
    let request = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nx-original-method: GET\r\nx-original-uri: /\r\n\
         authorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    let response = send_raw(authorizer, request.as_bytes()).await;
    gateway.kill().expect("the gateway still runs");
    gateway.wait().expect("the gateway has exited");
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
}
