//! `stepup gateway` over its life: it takes a changed contract without a pause, holds no place for who says nothing,
//! and stops when what was asked is answered.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use stepup_runtime::testing::TestIssuer;
use stepup_tests::bank::{
    bank, contract, issuer, publish_slowly, question, status, with_unknown_key,
};
use stepup_tests::command::run;
use stepup_tests::envoy::{Asked, EnvoyClient};
use stepup_tests::gateways::Gateway;
use stepup_tests::server::Answer;
use stepup_tests::upstream::raw;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Puts another contract in its place, at once, so that nobody reads half of it.
fn replace(gateway: &Gateway, text: &str) {
    let new = gateway.contract.with_extension("new");
    fs::write(&new, text).expect("written");
    fs::rename(&new, &gateway.contract).expect("moved");
}

/// Asks over gRPC, and gives the status that the client would see.
async fn grpc_status(client: &mut EnvoyClient, token: &str) -> u16 {
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", &*authorization)];
    let asked = Asked { method: "POST", target: "/pay", headers: &headers, raw: true };
    client.check(&asked).await.map_or_else(|refusal| refusal.status, |_| 200)
}

#[tokio::test]
async fn a_changed_contract_is_taken_without_a_pause_and_a_bad_one_is_not() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let (weak, strong) = (idp.password_token(), idp.mfa_token());
    let write = |text: &str| replace(&gateway, text);
    assert_eq!(status(&gateway, "POST", "/pay", &weak).await, 401);

    write(&contract(&json!(["pwd"])).to_string());
    let asked = Instant::now();
    while status(&gateway, "POST", "/pay", &weak).await != 200 {
        // Whichever is in force: nothing is dropped, and the strong token is good enough for both.
        assert_eq!(status(&gateway, "POST", "/pay", &strong).await, 200);
        assert!(asked.elapsed() < Duration::from_secs(10), "{}", gateway.log());
    }

    for (bad, why) in [
        ("{", "EOF"),
        (
            r#"[{"path": "/pay", "security": {"step-up": true}}]"#,
            "asks for methods, acr or max_age",
        ),
        (
            r#"[{"path": "/pay", "security": {"step-up": true, "methods": ["mfa"], "per-action": true}}]"#,
            "per_action",
        ),
        (
            r#"[{"path": "/pay", "security": {"step-up": true, "methods": ["phishing_resistant"]}}]"#,
            "phishing_resistant",
        ),
    ] {
        write(bad);
        gateway.logs(why).await;
        assert_eq!(status(&gateway, "POST", "/pay", &weak).await, 200);
    }
    assert_eq!(gateway.log().matches("the old one stays in force").count(), 4, "{}", gateway.log());
    let metrics = gateway.admin("/metrics").await.body;
    assert!(metrics.contains("stepup_contract_reloads_total{taken=\"yes\"} 1"), "{metrics}");
    assert!(metrics.contains("stepup_contract_reloads_total{taken=\"no\"} 4"), "{metrics}");

    // Back to what is in force, which is told; and then to what was before.
    assert!(!gateway.log().contains("in force again"), "{}", gateway.log());
    write(&contract(&json!(["pwd"])).to_string());
    gateway.logs("the file holds the contract in force again").await;
    write(&contract(&json!(["mfa"])).to_string());
    let asked = Instant::now();
    while status(&gateway, "POST", "/pay", &weak).await != 401 {
        assert!(asked.elapsed() < Duration::from_secs(10), "{}", gateway.log());
    }
}

/// The head of a question over gRPC.
fn grpc_question() -> http::Request<()> {
    http::Request::post("http://x/envoy.service.auth.v3.Authorization/Check")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .expect("a request")
}

/// One that sends a part of its question, and answers every sign of life that it is asked for.
#[tokio::test]
async fn a_question_that_has_no_end_is_not_waited_for() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let stream = TcpStream::connect(gateway.address("envoy-grpc")).await.expect("connected");
    let (mut client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    // The first five bytes say how long the message is.
    for (length, status, time) in [([0, 8, 0, 0], "11", 5), ([0, 0, 4, 0], "4", 45)] {
        let (answer, mut body) = client.send_request(grpc_question(), false).expect("sent");
        let begun = [&[0][..], &length, &[0; 8]].concat();
        body.send_data(begun.into(), false).expect("sent");
        let answer = timeout(Duration::from_secs(time), answer).await.expect("in time");
        assert_eq!(answer.expect("an answer").headers()["grpc-status"], status);
    }
}

/// What could not be read for a moment is read again, although it looks the same as before.
#[tokio::test]
async fn a_contract_that_cannot_be_read_at_once_is_not_given_up() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let weak = idp.password_token();
    replace(&gateway, &contract(&json!(["pwd"])).to_string());
    gateway.logs("a new contract is in force").await;
    // No file can be opened, but files can be looked at.
    gateway.limit_files(3);
    replace(&gateway, &contract(&json!(["mfa"])).to_string());
    gateway.logs("the old one stays in force").await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(gateway.log().matches("the old one stays in force").count(), 1, "it is told once");
    gateway.limit_files(1024);
    let asked = Instant::now();
    while status(&gateway, "POST", "/pay", &weak).await != 401 {
        assert!(asked.elapsed() < Duration::from_secs(10), "{}", gateway.log());
    }
}

/// Questions that a gateway's clients have broken off, at once and many, leave its connection to the others.
#[tokio::test]
async fn questions_that_are_taken_back_cost_the_others_nothing() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let stream = TcpStream::connect(gateway.address("envoy-grpc")).await.expect("connected");
    let (client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    for _ in 0..20 {
        let mut client = client.clone().ready().await.expect("the connection is there");
        for _ in 0..100 {
            let (_, mut body) = client.send_request(grpc_question(), false).expect("sent");
            body.send_reset(h2::Reason::CANCEL);
        }
        tokio::task::yield_now().await;
    }
    let mut client = client.ready().await.expect("the connection is there");
    let (answer, mut body) = client.send_request(grpc_question(), false).expect("sent");
    body.send_data(vec![0; 5].into(), true).expect("sent");
    let answer =
        timeout(Duration::from_secs(10), answer).await.expect("in time").expect("an answer");
    assert_eq!(answer.headers()["grpc-status"], "3", "a question about no request");
}

#[tokio::test]
async fn a_pipe_in_place_of_the_contract_is_not_waited_for() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let mut gateway = bank(&idp).await;
    let pipe = gateway.contract.with_extension("pipe");
    assert!(run(Path::new("mkfifo"), &[pipe.to_str().expect("text")]).status.success());
    fs::rename(&pipe, &gateway.contract).expect("moved");
    gateway.logs("is not a regular file").await;
    replace(&gateway, &contract(&json!(["pwd"])).to_string());
    gateway.logs("a new contract is in force").await;
    assert_eq!(status(&gateway, "POST", "/pay", &idp.password_token()).await, 200);
    gateway.terminate();
    assert!(gateway.ended().await);
}

/// How many changed contracts it has looked at.
async fn reloads(gateway: &Gateway) -> u64 {
    let metrics = gateway.admin("/metrics").await.body;
    let lines = metrics.lines().filter(|line| line.starts_with("stepup_contract_reloads_total"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// Under load, and whatever is written: what both contracts let in is let in, what both refuse is refused, and
/// nobody is left without an answer.
#[tokio::test(flavor = "multi_thread")]
async fn no_question_is_dropped_while_contracts_come_and_go() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = Arc::new(bank(&idp).await);
    let done = Arc::new(AtomicBool::new(false));
    let mut asking = JoinSet::new();
    for over_grpc in [false, false, true, true] {
        let (gateway, done) = (Arc::clone(&gateway), Arc::clone(&done));
        let (weak, strong) = (idp.password_token(), idp.mfa_token());
        let odd = idp.token().claim("amr", json!(["sms"])).mint();
        asking.spawn(async move {
            let mut envoy = EnvoyClient::connect(gateway.address("envoy-grpc")).await;
            let client = reqwest::Client::new();
            let (mut asked, mut let_in) = (0, 0);
            while !done.load(Ordering::Relaxed) {
                for (token, expected) in
                    [(&strong, &[200][..]), (&odd, &[401]), (&weak, &[200, 401])]
                {
                    let status = if over_grpc {
                        grpc_status(&mut envoy, token).await
                    } else {
                        let url = format!("http://{}/_stepup", gateway.address("nginx"));
                        let asked = client.get(url).bearer_auth(token);
                        let asked = asked.header("x-original-method", "POST");
                        Answer::of(asked.header("x-original-uri", "/pay")).await.status
                    };
                    assert!(expected.contains(&status), "{status}, not one of {expected:?}");
                    asked += 1;
                    let_in += u32::from(status == 200);
                }
            }
            (asked, let_in)
        });
    }
    let of = |methods: Value| contract(&methods).to_string();
    for round in 0..20 {
        let text = match round % 4 {
            0 => of(json!(["pwd"])),
            1 => "{".into(),
            2 => of(json!(["mfa"])),
            _ => of(json!(["phishing_resistant"])),
        };
        replace(&gateway, &text);
        let seen = async {
            while reloads(&gateway).await <= round {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(20), seen).await.expect("it is seen");
    }
    done.store(true, Ordering::Relaxed);
    let (mut all, mut open) = (0, 0);
    while let Some(asked) = asking.join_next().await {
        let (asked, let_in) = asked.expect("every answer is one of those");
        (all, open) = (all + asked, open + let_in);
    }
    // Some of the weak ones came while they were let in, and some while they were not.
    assert!(open > all / 3 && open < 2 * all / 3, "{open} of {all}");
    let metrics = gateway.admin("/metrics").await.body;
    for taken in ["yes", "no"] {
        let line = format!("stepup_contract_reloads_total{{taken=\"{taken}\"}} 10");
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn a_question_that_was_asked_is_answered_before_it_stops() {
    let (http, idp, [_, unknown]) = with_unknown_key().await;
    let contract = contract(&json!(["mfa"])).to_string();
    let mut gateway = Gateway::start(&contract, &issuer(&http.url), None).await;
    publish_slowly(&http, &idp);
    let asked = question(&gateway, "POST", "/pay").bearer_auth(&unknown);
    let asked = tokio::spawn(Answer::of(asked));
    let mut envoy = EnvoyClient::connect(gateway.address("envoy-grpc")).await;
    let over_grpc = tokio::spawn(async move { grpc_status(&mut envoy, &unknown).await });
    sleep(Duration::from_millis(500)).await;
    gateway.terminate();
    gateway.logs("stopping").await;
    assert_eq!(gateway.admin("/readyz").await.status, 503);
    assert_eq!(gateway.admin("/livez").await.status, 200);
    let late = question(&gateway, "POST", "/pay").send().await;
    assert!(late.is_err(), "no new connection is taken");
    assert!(TcpStream::connect(gateway.address("envoy-grpc")).await.is_err());
    assert_eq!(asked.await.expect("no panic").status, 200);
    assert_eq!(over_grpc.await.expect("no panic"), 200);
    assert!(gateway.ended().await);
}

#[tokio::test]
async fn what_takes_too_long_does_not_keep_it_from_stopping() {
    let (http, idp, [_, unknown]) = with_unknown_key().await;
    let contract = contract(&json!(["mfa"])).to_string();
    let arguments = ["--shutdown-seconds", "0"];
    let started = Gateway::try_start(&contract, &issuer(&http.url), None, &arguments).await;
    let mut gateway = started.expect("it starts");
    publish_slowly(&http, &idp);
    let asked = tokio::spawn(question(&gateway, "POST", "/pay").bearer_auth(&unknown).send());
    sleep(Duration::from_millis(300)).await;
    gateway.terminate();
    gateway.logs("some questions were not answered in time").await;
    assert!(gateway.ended().await);
    assert!(asked.await.expect("no panic").is_err(), "it is not let in for want of an answer");
}

#[tokio::test]
async fn who_asks_may_notice_that_it_stops() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let contract = contract(&json!(["mfa"])).to_string();
    let arguments = ["--drain-seconds", "2"];
    let started = Gateway::try_start(&contract, &issuer(idp.url()), None, &arguments).await;
    let mut gateway = started.expect("it starts");
    gateway.terminate();
    gateway.logs("stopping").await;
    assert_eq!(gateway.admin("/readyz").await.status, 503);
    assert_eq!(status(&gateway, "POST", "/pay", &idp.mfa_token()).await, 200);
    assert!(gateway.ended().await);
}

#[tokio::test]
async fn who_says_nothing_holds_no_place_for_long() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let contract = contract(&json!(["mfa"])).to_string();
    let arguments = ["--max-connections", "2"];
    let started = Gateway::try_start(&contract, &issuer(idp.url()), None, &arguments).await;
    let gateway = started.expect("it starts");
    let begun = [&b""[..], b"PRI * HTTP/2.0\r\n"];
    let mut silent = Vec::new();
    for mode in ["nginx", "envoy-grpc"] {
        for begin in begun {
            let mut stream = TcpStream::connect(gateway.address(mode)).await.expect("connected");
            stream.write_all(begin).await.expect("written");
            silent.push(stream);
        }
    }
    let answered = async {
        assert_eq!(status(&gateway, "POST", "/pay", &idp.mfa_token()).await, 200);
        let mut envoy = EnvoyClient::connect(gateway.address("envoy-grpc")).await;
        let authorization = format!("Bearer {}", idp.mfa_token());
        let headers = [("authorization", &*authorization)];
        let asked = Asked { method: "POST", target: "/pay", headers: &headers, raw: true };
        assert!(envoy.check(&asked).await.is_ok());
    };
    timeout(Duration::from_secs(50), answered).await.expect("their places are free again");
    drop(silent);
}

#[tokio::test]
async fn more_questions_than_may_wait_for_an_issuer_are_put_off() {
    let (http, idp, [known, unknown]) = with_unknown_key().await;
    let contract = contract(&json!(["mfa"])).to_string();
    let (settings, limits) =
        (issuer(&http.url), ["--max-concurrency", "1", "--max-header-bytes", "9000"]);
    let gateway = Gateway::try_start(&contract, &settings, None, &limits).await.expect("started");
    publish_slowly(&http, &idp);
    assert_eq!(status(&gateway, "GET", "/me", &known).await, 200);
    let first = tokio::spawn(Answer::of(question(&gateway, "POST", "/pay").bearer_auth(&unknown)));
    sleep(Duration::from_millis(500)).await;
    assert_eq!(status(&gateway, "GET", "/me", &known).await, 200, "a known token waits for nobody");
    let second = Answer::of(question(&gateway, "POST", "/pay").bearer_auth(&unknown)).await;
    assert_eq!((second.status, second.header("retry-after")), (503, Some("1")));
    assert_eq!(first.await.expect("no panic").status, 200);
    assert_eq!(status(&gateway, "POST", "/pay", &unknown).await, 200);

    let mut envoy = EnvoyClient::connect(gateway.address("envoy-grpc")).await;
    for (bytes, refused) in [(8_500, false), (9_100, true)] {
        let long = "x".repeat(bytes);
        for mode in ["nginx", "forward-auth", "envoy-http"] {
            let target = if mode == "envoy-http" { "/me" } else { "/" };
            let told = "x-original-method: GET\r\nx-original-uri: /me\r\n\
                        x-forwarded-method: GET\r\nx-forwarded-uri: /me\r\n";
            let question = format!(
                "GET {target} HTTP/1.1\r\nhost: x\r\n{told}x-long: {long}\r\nconnection: close\r\n\r\n"
            );
            let answer = raw(gateway.address(mode), question.as_bytes()).await;
            let (status, kind) =
                if refused { (400, "invalid-request") } else { (401, "credential-required") };
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{mode}: {bytes}: {answer}");
            assert!(answer.contains(kind), "{mode}: {bytes}: {answer}");
        }
        for raw in [true, false] {
            let headers = [("x-long", &*long)];
            let asked = Asked { method: "GET", target: "/me", headers: &headers, raw };
            let answer = envoy.check(&asked).await.expect_err("no token");
            assert_eq!(answer.status, if refused { 400 } else { 401 }, "{bytes}");
        }
    }
    let long = format!("GET /_stepup HTTP/1.1\r\nx-long: {}\r\n\r\n", "x".repeat(100_000));
    assert!(raw(gateway.address("nginx"), long.as_bytes()).await.starts_with("HTTP/1.1 431"));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200));
    assert!(
        raw(gateway.address("forward-auth"), many.as_bytes()).await.starts_with("HTTP/1.1 431")
    );
}
