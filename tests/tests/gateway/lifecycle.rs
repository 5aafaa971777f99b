//! How `stepup gateway` reloads its contract, limits connections and concurrent checks, and shuts down.

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use stepup_runtime::testing::TestIssuer;
use stepup_tests::bank::{
    bank, check_request, contract, issuer, publish_on_release, status, with_unknown_key,
};
use stepup_tests::command::run;
use stepup_tests::envoy::{ClientRequest, EnvoyClient};
use stepup_tests::fake_issuer::Hold;
use stepup_tests::gateways::Gateway;
use stepup_tests::server::Answer;
use stepup_tests::upstream::send_raw;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Replaces the contract atomically, so that the gateway never reads an incomplete file.
fn replace(gateway: &Gateway, text: &str) {
    let new = gateway.contract.with_extension("new");
    fs::write(&new, text).expect("written");
    fs::rename(&new, &gateway.contract).expect("moved");
}

/// Sends a check over gRPC, and returns the status that the client would see.
async fn grpc_status(client: &mut EnvoyClient, token: &str) -> u16 {
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", &*authorization)];
    let request = ClientRequest { method: "POST", target: "/pay", headers: &headers, raw: true };
    client.check(&request).await.map_or_else(|refusal| refusal.status, |_| 200)
}

#[tokio::test]
async fn a_valid_contract_is_loaded_without_a_pause_and_an_invalid_one_is_not() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let (weak, strong) = (idp.password_token(), idp.mfa_token());
    let write = |text: &str| replace(&gateway, text);
    assert_eq!(status(&gateway, "POST", "/pay", &weak).await, 401);

    write(&contract(&json!(["pwd"])).to_string());
    let started_at = Instant::now();
    while status(&gateway, "POST", "/pay", &weak).await != 200 {
        // The strong token satisfies the old and the new contract, so it is allowed throughout the reload.
        assert_eq!(status(&gateway, "POST", "/pay", &strong).await, 200);
        assert!(started_at.elapsed() < Duration::from_secs(40), "{}", gateway.log());
    }

    for (invalid, why) in [
        ("{", "EOF"),
        (
            r#"[{"path": "/pay", "security": {"step-up": true}}]"#,
            "requires methods, acr or max_age",
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
        write(invalid);
        gateway.wait_for_log(why).await;
        assert_eq!(status(&gateway, "POST", "/pay", &weak).await, 200);
    }
    assert_eq!(gateway.log().matches("the old one stays in use").count(), 4, "{}", gateway.log());
    let metrics = gateway.admin("/metrics").await.body;
    assert!(metrics.contains("stepup_contract_reloads_total{taken=\"yes\"} 1"), "{metrics}");
    assert!(metrics.contains("stepup_contract_reloads_total{taken=\"no\"} 4"), "{metrics}");

    // A file with the current contract again is logged, too. Then restore the first contract.
    assert!(!gateway.log().contains("current contract again"), "{}", gateway.log());
    write(&contract(&json!(["pwd"])).to_string());
    gateway.wait_for_log("the file contains the current contract again").await;
    write(&contract(&json!(["mfa"])).to_string());
    let started_at = Instant::now();
    while status(&gateway, "POST", "/pay", &weak).await != 401 {
        assert!(started_at.elapsed() < Duration::from_secs(40), "{}", gateway.log());
    }
}

/// The head of a check over gRPC.
fn grpc_check() -> http::Request<()> {
    http::Request::post("http://x/envoy.service.auth.v3.Authorization/Check")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .expect("a request")
}

/// The client sends a part of its message, and keeps the connection alive with an answer to every HTTP/2 ping.
#[tokio::test]
async fn a_check_with_an_incomplete_message_is_refused() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let stream = TcpStream::connect(gateway.address("envoy-grpc")).await.expect("connected");
    let (mut client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    // The first five bytes contain the length of the message.
    for (length, status, time) in [([0, 8, 0, 0], "11", 5), ([0, 0, 4, 0], "4", 45)] {
        let (answer, mut body) = client.send_request(grpc_check(), false).expect("sent");
        let partial = [&[0][..], &length, &[0; 8]].concat();
        body.send_data(partial.into(), false).expect("sent");
        let answer = timeout(Duration::from_secs(time), answer).await.expect("in time");
        assert_eq!(answer.expect("an answer").headers()["grpc-status"], status);
    }
}

/// After a failed read, the gateway reads the file again, although its metadata did not change.
#[tokio::test]
async fn reading_a_contract_is_retried_after_a_failure() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let weak = idp.password_token();
    replace(&gateway, &contract(&json!(["pwd"])).to_string());
    gateway.wait_for_log("a new contract is loaded").await;
    // From now on, the gateway cannot open files, but it can read their metadata.
    gateway.limit_files(3);
    replace(&gateway, &contract(&json!(["mfa"])).to_string());
    gateway.wait_for_log("the old one stays in use").await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        gateway.log().matches("the old one stays in use").count(),
        1,
        "the failure is logged once"
    );
    gateway.limit_files(1024);
    let started_at = Instant::now();
    while status(&gateway, "POST", "/pay", &weak).await != 401 {
        assert!(started_at.elapsed() < Duration::from_secs(40), "{}", gateway.log());
    }
}

/// Many checks that a proxy cancels at once do not close its connection, which other checks use.
#[tokio::test]
async fn cancelled_checks_do_not_affect_others_on_the_same_connection() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let stream = TcpStream::connect(gateway.address("envoy-grpc")).await.expect("connected");
    let (client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    for _ in 0..20 {
        let mut client = client.clone().ready().await.expect("the connection is there");
        for _ in 0..100 {
            let (_, mut body) = client.send_request(grpc_check(), false).expect("sent");
            body.send_reset(h2::Reason::CANCEL);
        }
        tokio::task::yield_now().await;
    }
    let mut client = client.ready().await.expect("the connection is there");
    let (answer, mut body) = client.send_request(grpc_check(), false).expect("sent");
    body.send_data(vec![0; 5].into(), true).expect("sent");
    let answer =
        timeout(Duration::from_secs(10), answer).await.expect("in time").expect("an answer");
    assert_eq!(
        answer.headers()["grpc-status"],
        "3",
        "a check without a request is an invalid argument"
    );
}

#[tokio::test]
async fn a_named_pipe_as_the_contract_does_not_block_the_gateway() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let mut gateway = bank(&idp).await;
    let pipe = gateway.contract.with_extension("pipe");
    assert!(run(Path::new("mkfifo"), &[pipe.to_str().expect("text")]).status.success());
    fs::rename(&pipe, &gateway.contract).expect("moved");
    gateway.wait_for_log("is not a regular file").await;
    replace(&gateway, &contract(&json!(["pwd"])).to_string());
    gateway.wait_for_log("a new contract is loaded").await;
    assert_eq!(status(&gateway, "POST", "/pay", &idp.password_token()).await, 200);
    gateway.terminate();
    assert!(gateway.wait_for_exit().await);
}

/// The number of changed contracts that the gateway has loaded or refused.
async fn reloads(gateway: &Gateway) -> u64 {
    let metrics = gateway.admin("/metrics").await.body;
    let lines = metrics.lines().filter(|line| line.starts_with("stepup_contract_reloads_total"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// During reloads under load, every request gets a response. A request that both contracts allow is always allowed, and
/// a request that both refuse is always refused.
#[tokio::test(flavor = "multi_thread")]
async fn no_check_is_dropped_during_reloads() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = Arc::new(bank(&idp).await);
    let done = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for over_grpc in [false, false, true, true] {
        let (gateway, done) = (Arc::clone(&gateway), Arc::clone(&done));
        let (weak, strong) = (idp.password_token(), idp.mfa_token());
        let odd = idp.token().claim("amr", json!(["sms"])).mint();
        clients.spawn(async move {
            let mut envoy = EnvoyClient::connect(gateway.address("envoy-grpc")).await;
            let client = reqwest::Client::new();
            let (mut sent, mut allowed) = (0, 0);
            while !done.load(Ordering::Relaxed) {
                for (token, expected) in
                    [(&strong, &[200][..]), (&odd, &[401]), (&weak, &[200, 401])]
                {
                    let status = if over_grpc {
                        grpc_status(&mut envoy, token).await
                    } else {
                        let url = format!("http://{}/_stepup", gateway.address("nginx"));
                        let request = client.get(url).bearer_auth(token);
                        let request = request.header("x-original-method", "POST");
                        Answer::of(request.header("x-original-uri", "/pay")).await.status
                    };
                    assert!(expected.contains(&status), "{status}, not one of {expected:?}");
                    sent += 1;
                    allowed += u32::from(status == 200);
                }
            }
            (sent, allowed)
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
        let reload = async {
            while reloads(&gateway).await <= round {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(60), reload).await.expect("the change is noticed");
    }
    done.store(true, Ordering::Relaxed);
    let (mut all_sent, mut all_allowed) = (0, 0);
    while let Some(counts) = clients.join_next().await {
        let (sent, allowed) = counts.expect("each client got the expected statuses");
        (all_sent, all_allowed) = (all_sent + sent, all_allowed + allowed);
    }
    // Some requests with the weak token were sent while it was allowed, and some while it was refused.
    let (third, two_thirds) = (all_sent / 3, 2 * all_sent / 3);
    assert!(all_allowed > third && all_allowed < two_thirds, "{all_allowed} of {all_sent}");
    let metrics = gateway.admin("/metrics").await.body;
    for taken in ["yes", "no"] {
        let line = format!("stepup_contract_reloads_total{{taken=\"{taken}\"}} 10");
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn pending_checks_are_answered_before_shutdown() {
    // Two issuers, because a request for the keys shows that the check has arrived.
    let (http, idp, [.., unknown]) = with_unknown_key().await;
    let (other_http, other_idp, [.., other_unknown]) = with_unknown_key().await;
    let contract = contract(&json!(["mfa"])).to_string();
    let settings = issuer(&http.url) + &issuer(&other_http.url);
    let mut gateway = Gateway::start(&contract, &settings, None).await;
    let holds = [publish_on_release(&http, &idp), publish_on_release(&other_http, &other_idp)];
    let pending = check_request(&gateway, "POST", "/pay").bearer_auth(&unknown);
    let pending = tokio::spawn(Answer::of(pending));
    let mut envoy = EnvoyClient::connect(gateway.address("envoy-grpc")).await;
    let over_grpc = tokio::spawn(async move { grpc_status(&mut envoy, &other_unknown).await });
    http.wait_for_requests("/jwks", 1).await;
    other_http.wait_for_requests("/jwks", 1).await;
    gateway.terminate();
    gateway.wait_for_log("shutting down").await;
    assert_eq!(gateway.admin("/readyz").await.status, 503);
    assert_eq!(gateway.admin("/livez").await.status, 200);
    let late = check_request(&gateway, "POST", "/pay").send().await;
    assert!(late.is_err(), "no new connection is accepted");
    assert!(TcpStream::connect(gateway.address("envoy-grpc")).await.is_err());
    holds.iter().for_each(Hold::release);
    assert_eq!(pending.await.expect("no panic").status, 200);
    assert_eq!(over_grpc.await.expect("no panic"), 200);
    assert!(gateway.wait_for_exit().await);
}

#[tokio::test]
async fn slow_checks_do_not_delay_shutdown_beyond_its_limit() {
    let (http, idp, [.., unknown]) = with_unknown_key().await;
    let contract = contract(&json!(["mfa"])).to_string();
    let arguments = ["--shutdown-seconds", "0"];
    let started = Gateway::try_start(&contract, &issuer(&http.url), None, &arguments).await;
    let mut gateway = started.expect("it starts");
    let _never_released = publish_on_release(&http, &idp);
    let pending =
        tokio::spawn(check_request(&gateway, "POST", "/pay").bearer_auth(&unknown).send());
    http.wait_for_requests("/jwks", 1).await;
    gateway.terminate();
    gateway.wait_for_log("some checks were not answered in time").await;
    assert!(gateway.wait_for_exit().await);
    assert!(pending.await.expect("no panic").is_err(), "an unanswered check is not allowed");
}

#[tokio::test]
async fn checks_are_answered_while_readiness_reports_shutdown() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let contract = contract(&json!(["mfa"])).to_string();
    let arguments = ["--drain-seconds", "2"];
    let started = Gateway::try_start(&contract, &issuer(idp.url()), None, &arguments).await;
    let mut gateway = started.expect("it starts");
    gateway.terminate();
    gateway.wait_for_log("shutting down").await;
    assert_eq!(gateway.admin("/readyz").await.status, 503);
    assert_eq!(status(&gateway, "POST", "/pay", &idp.mfa_token()).await, 200);
    assert!(gateway.wait_for_exit().await);
}

#[tokio::test]
async fn silent_connections_are_closed() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let contract = contract(&json!(["mfa"])).to_string();
    let arguments = ["--max-connections", "2"];
    let started = Gateway::try_start(&contract, &issuer(idp.url()), None, &arguments).await;
    let gateway = started.expect("it starts");
    let openings = [&b""[..], b"PRI * HTTP/2.0\r\n"];
    let mut silent = Vec::new();
    for mode in ["nginx", "envoy-grpc"] {
        for opening in openings {
            let mut stream = TcpStream::connect(gateway.address(mode)).await.expect("connected");
            stream.write_all(opening).await.expect("written");
            silent.push(stream);
        }
    }
    let answered = async {
        assert_eq!(status(&gateway, "POST", "/pay", &idp.mfa_token()).await, 200);
        let mut envoy = EnvoyClient::connect(gateway.address("envoy-grpc")).await;
        let authorization = format!("Bearer {}", idp.mfa_token());
        let headers = [("authorization", &*authorization)];
        let request =
            ClientRequest { method: "POST", target: "/pay", headers: &headers, raw: true };
        assert!(envoy.check(&request).await.is_ok());
    };
    timeout(Duration::from_secs(50), answered).await.expect("the silent connections are closed");
    drop(silent);
}

#[tokio::test]
async fn checks_beyond_the_limits_are_refused() {
    let (http, idp, [known, first_seen, unknown]) = with_unknown_key().await;
    let contract = contract(&json!(["mfa"])).to_string();
    let (settings, limits) =
        (issuer(&http.url), ["--max-concurrency", "1", "--max-header-bytes", "9000"]);
    let gateway = Gateway::try_start(&contract, &settings, None, &limits).await.expect("started");
    let hold = publish_on_release(&http, &idp);
    assert_eq!(status(&gateway, "GET", "/me", &known).await, 200);
    let first =
        tokio::spawn(Answer::of(check_request(&gateway, "POST", "/pay").bearer_auth(&unknown)));
    http.wait_for_requests("/jwks", 1).await;
    assert_eq!(status(&gateway, "GET", "/me", &known).await, 200, "a cached token does not wait");
    assert_eq!(status(&gateway, "GET", "/me", &first_seen).await, 200, "nor one with a known key");
    assert_eq!(status(&gateway, "GET", "/me", "malformed").await, 401, "nor a malformed one");
    let second = Answer::of(check_request(&gateway, "POST", "/pay").bearer_auth(&unknown)).await;
    assert_eq!((second.status, second.header("retry-after")), (503, Some("1")));
    hold.release();
    assert_eq!(first.await.expect("no panic").status, 200);
    assert_eq!(status(&gateway, "POST", "/pay", &unknown).await, 200);

    let mut envoy = EnvoyClient::connect(gateway.address("envoy-grpc")).await;
    for (bytes, refused) in [(8_500, false), (9_100, true)] {
        let long = "x".repeat(bytes);
        for mode in ["nginx", "forward-auth", "envoy-http"] {
            let target = if mode == "envoy-http" { "/me" } else { "/" };
            let proxy_headers = "x-original-method: GET\r\nx-original-uri: /me\r\n\
                        x-forwarded-method: GET\r\nx-forwarded-uri: /me\r\n";
            let check = format!(
                "GET {target} HTTP/1.1\r\nhost: x\r\n{proxy_headers}x-long: {long}\r\nconnection: close\r\n\r\n"
            );
            let answer = send_raw(gateway.address(mode), check.as_bytes()).await;
            let (status, kind) =
                if refused { (400, "invalid-request") } else { (401, "credential-required") };
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{mode}: {bytes}: {answer}");
            assert!(answer.contains(kind), "{mode}: {bytes}: {answer}");
        }
        for raw in [true, false] {
            let headers = [("x-long", &*long)];
            let request = ClientRequest { method: "GET", target: "/me", headers: &headers, raw };
            let answer = envoy.check(&request).await.expect_err("no token");
            assert_eq!(answer.status, if refused { 400 } else { 401 }, "{bytes}");
        }
    }
    let long = format!("GET /_stepup HTTP/1.1\r\nx-long: {}\r\n\r\n", "x".repeat(100_000));
    assert!(send_raw(gateway.address("nginx"), long.as_bytes()).await.starts_with("HTTP/1.1 431"));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200));
    assert!(
        send_raw(gateway.address("forward-auth"), many.as_bytes())
            .await
            .starts_with("HTTP/1.1 431")
    );
}

#[tokio::test]
async fn a_reload_that_authorizes_more_callers_is_reported_or_refused() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let with = |security: serde_json::Value| {
        json!([{"method": "POST", "path": "/pay", "security": security}]).to_string()
    };
    let strict = with(json!({"step-up": true, "methods": ["mfa"]}));
    let weaker = with(json!({"step-up": false}));
    for (arguments, taken) in [(&[][..], "yes"), (&["--refuse-weaker"], "no")] {
        let settings = format!("{}\n[gateway]\nreload-seconds = 0.05\n", issuer(idp.url()));
        let gateway = Gateway::try_start(&strict, &settings, None, arguments).await;
        let gateway = gateway.expect("started");
        replace(&gateway, &weaker);
        let accepted = taken == "yes";
        let end = if accepted { "a new contract is loaded" } else { "the old one stays in use" };
        gateway.wait_for_log(end).await;
        let log = gateway.log();
        assert!(log.contains("POST /pay trust weakened: sensitive"), "{log}");
        let metrics = gateway.admin("/metrics").await.body;
        let counted = format!("stepup_weakened_contracts_total{{taken=\"{taken}\"}} 1");
        assert!(metrics.contains(&counted), "{metrics}");
        let expected = if accepted { 200 } else { 401 };
        assert_eq!(status(&gateway, "POST", "/pay", &idp.password_token()).await, expected);
        // Back to the first contract, which is stricter or the same.
        replace(&gateway, &strict);
        gateway.wait_for_log(if accepted { "a new contract is loaded" } else { "again" }).await;
    }
}
