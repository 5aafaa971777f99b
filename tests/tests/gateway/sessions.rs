//! Sessions, risk and signals in `stepup gateway`.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use stepup_runtime::testing::TestIssuer;
use stepup_runtime::{Endpoint, NoticeTarget, RequestHead, Sessions, StepUp};
use stepup_tests::bank::issuer;
use stepup_tests::gateways::Gateway;
use stepup_tests::redis::RedisServer;
use stepup_tests::server::Answer;

const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";
const RISK: &str = "https://schemas.openid.net/secevent/caep/event-type/risk-level-change";
const AUDIENCE: &str = "https://api.test/signals";

fn contract() -> String {
    let risk = json!({"step-up": "medium", "deny": "high"});
    json!([
        {"method": "GET", "path": "/me", "security": {"step-up": false}},
        {"method": "POST", "path": "/pay", "security": {"step-up": true, "methods": ["mfa"], "risk": risk}},
    ])
    .to_string()
}

async fn start(idp: &TestIssuer, sessions: &str) -> Result<Gateway, String> {
    let arguments = [
        "--sessions",
        sessions,
        "--signals",
        "127.0.0.1:0",
        "--logout-audience",
        "bank-app",
        "--transmitter",
        idp.url(),
        "--signal-audience",
        AUDIENCE,
    ];
    Gateway::try_start(&contract(), &issuer(idp.url()), None, &arguments).await
}

async fn check(gateway: &Gateway, method: &str, path: &str, token: &str) -> u16 {
    let request = reqwest::Client::new().get(format!("http://{}/", gateway.address("nginx")));
    let request = request.header("x-original-method", method).header("x-original-uri", path);
    Answer::of(request.bearer_auth(token)).await.status
}

async fn log_out(gateway: &Gateway, token: &str) -> u16 {
    let url = format!("http://{}/signals/logout", gateway.address("signals"));
    let form = BTreeMap::from([("logout_token", token)]);
    Answer::of(reqwest::Client::new().post(url).form(&form)).await.status
}

async fn push(gateway: &Gateway, token: String) -> u16 {
    let url = format!("http://{}/signals/events", gateway.address("signals"));
    let request = reqwest::Client::new().post(url);
    Answer::of(request.header("content-type", "application/secevent+jwt").body(token)).await.status
}

#[tokio::test]
async fn a_gateway_enforces_signals_and_keeps_them_over_a_restart() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sessions.redb");
    let file = file.to_str().expect("text");
    let gateway = start(&idp, file).await.expect("started");
    let strong = |sid: &str| idp.token().claim("amr", json!(["mfa"])).claim("sid", sid).mint();
    let weak = idp.token().claim("sid", "two").mint();
    let (one, two) = (strong("one"), strong("two"));
    assert_eq!(check(&gateway, "GET", "/me", &one).await, 200);
    assert_eq!(check(&gateway, "POST", "/pay", &weak).await, 200, "the risk is low");
    let logout = idp.token().header("typ", "logout+jwt").claim("aud", "bank-app");
    let logout = logout.claim("jti", "1").claim("sid", "one").claim("events", json!({LOGOUT: {}}));
    assert_eq!(log_out(&gateway, &logout.mint()).await, 200);
    assert_eq!(log_out(&gateway, &one).await, 400);
    let risk = |level: &str| -> Value { json!({RISK: {"current_level": level}}) };
    let set = |level: &str| {
        let subject = json!({"format": "iss_sub", "iss": idp.url(), "sub": "alice"});
        let token = idp.token().header("typ", "secevent+jwt").claim("aud", AUDIENCE);
        token.claim("jti", "2").claim("sub_id", subject).claim("events", risk(level)).mint()
    };
    assert_eq!(push(&gateway, set("MEDIUM")).await, 202);
    let expected = async |gateway: &Gateway| {
        assert_eq!(check(gateway, "GET", "/me", &one).await, 401, "the session has ended");
        assert_eq!(check(gateway, "GET", "/me", &two).await, 200);
        assert_eq!(check(gateway, "POST", "/pay", &weak).await, 401, "the risk is medium");
        assert_eq!(check(gateway, "POST", "/pay", &two).await, 200);
    };
    expected(&gateway).await;
    let mut gateway = gateway;
    gateway.terminate();
    assert!(gateway.wait_for_exit().await);
    let gateway = start(&idp, file).await.expect("started again");
    expected(&gateway).await;
    let second = start(&idp, file).await.expect_err("in use");
    assert!(second.contains("another process has opened the session log"), "{second}");
    let url = format!("http://{}/other", gateway.address("signals"));
    assert_eq!(Answer::of(reqwest::Client::new().post(url)).await.status, 404);
    let long = reqwest::Client::new()
        .post(format!("http://{}/signals/logout", gateway.address("signals")));
    assert_eq!(Answer::of(long.body("x".repeat(70_000))).await.status, 413);
}

#[tokio::test]
async fn incomplete_signal_settings_are_usage_errors() {
    let idp = TestIssuer::start().await.expect("an issuer");
    for (arguments, message) in [
        (&[][..], "risk needs a session log"),
        (&["--sessions", "memory", "--logout-audience", "a"], "use --signals"),
        (&["--sessions", "memory", "--signals", "127.0.0.1:0"], "no signal is accepted"),
        (
            &["--sessions", "memory", "--signals", "127.0.0.1:0", "--transmitter", idp.url()],
            "use --signal-audience",
        ),
        (&["--sessions", "missing/folder/sessions.redb"], "its folder does not exist"),
    ] {
        let ended = Gateway::try_start(&contract(), &issuer(idp.url()), None, arguments).await;
        let log = ended.expect_err(message);
        assert!(log.contains(message), "{message:?} is not in {log:?}");
    }
    let plain = json!({"path": "/me", "security": {"step-up": false}}).to_string();
    let arguments = ["--signals", "127.0.0.1:0", "--logout-audience", "a"];
    let ended = Gateway::try_start(&plain, &issuer(idp.url()), None, &arguments).await;
    assert!(ended.expect_err("no log").contains("no session log"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server; tests/run installs it"]
async fn a_gateway_and_two_apis_share_one_redis() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let redis = RedisServer::start(&[]).await;
    let gateway = start(&idp, &redis.url()).await.expect("started");
    let api = async || {
        let sessions = Sessions::redis(&redis.url()).expect("a URL");
        let builder = StepUp::builder().issuer(idp.issuer()).sessions(sessions);
        builder.build().await.expect("built")
    };
    let (one, two) = (api().await, api().await);
    let strong = |sid: &str| idp.token().claim("amr", json!(["mfa"])).claim("sid", sid).mint();
    let of_api = async |step_up: &StepUp, token: &str| {
        let (target, mut headers) = (http::Uri::from_static("/me"), http::HeaderMap::new());
        headers.insert("authorization", format!("Bearer {token}").parse().expect("a header"));
        let head = RequestHead::new(&http::Method::GET, &target, &headers);
        let endpoint = Endpoint::new("/me", stepup_runtime::Requirement::default());
        let outcome = step_up.enforce(&endpoint, head).await;
        outcome.map_or_else(|refusal| refusal.status().as_u16(), |_| 200)
    };
    let mut times = Vec::new();
    for number in 0..50 {
        let sid = format!("session-{number}");
        let token = strong(&sid);
        assert_eq!(check(&gateway, "GET", "/me", &token).await, 200);
        assert_eq!((of_api(&one, &token).await, of_api(&two, &token).await), (200, 200));
        // Every other session ends at the gateway, by a logout; the others end at an API.
        let started = Instant::now();
        if number % 2 == 0 {
            let logout = idp.token().header("typ", "logout+jwt").claim("aud", "bank-app");
            let logout = logout.claim("jti", "1").claim("sid", sid);
            let logout = logout.claim("events", json!({LOGOUT: {}})).mint();
            assert_eq!(log_out(&gateway, &logout).await, 200);
        } else {
            let session = NoticeTarget::session(idp.url(), sid);
            one.sessions().revoke(session, "").await.expect("durable");
        }
        while check(&gateway, "GET", "/me", &token).await != 401
            || of_api(&one, &token).await != 401
            || of_api(&two, &token).await != 401
        {
            assert!(started.elapsed() < Duration::from_secs(5), "{number}");
        }
        times.push(started.elapsed());
    }
    times.sort_unstable();
    println!("revoked everywhere after {:?} (median), {:?} (longest)", times[25], times[49]);
}
