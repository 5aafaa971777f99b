//! Introspection that fails because of the issuer, the network or the token.

use super::{app, get, serve};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use stepup_runtime::testing::TestIssuer;
use stepup_runtime::{ClientAddress, StepUp, TokenCache};
use stepup_tests::fake_issuer::{Hold, Response};
use stepup_tests::introspecting_issuer::{IntrospectingIssuer, basic};
use stepup_tests::paused_time::PausedTime;
use stepup_tests::server::{Answer, Server};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

#[tokio::test]
async fn failures_of_the_issuer_are_503_and_open_the_circuit() {
    let bytes = b"{\"active\":true,\"sub\":\"a\",\"aud\":\"https://api.test\"}".to_vec();
    for (what, script) in [
        ("out of service", Response::status(503)),
        ("too many requests", Response::status(429)),
        ("closes the connection", Response::Close),
        ("a truncated body", Response::HalfBody(bytes.clone())),
        ("bad gateway", Response::status(502)),
    ] {
        let fake = IntrospectingIssuer::start().await;
        let server = serve(fake.issuer(basic())).await;
        let known = "known-token";
        assert_eq!(get(&server, known).await.status, 200, "{what}");
        fake.http.on("/introspect", script);
        let before = fake.requests().len();
        for n in 0..20 {
            let answer = get(&server, &format!("token-{n}")).await;
            assert_eq!(answer.status, 503, "{what}: {answer:?}");
            assert!(answer.header("retry-after").is_some(), "{what}");
        }
        assert_eq!(fake.requests().len() - before, 5, "{what}: then the circuit is open");
        assert_eq!(get(&server, known).await.status, 200, "{what}: a cached response is used");
    }
}

/// A client can send any token. If failures with unknown tokens opened the circuit, one client could block all
/// others.
#[tokio::test]
async fn an_unusable_response_opens_the_circuit_only_for_tokens_that_were_active() {
    let bytes = b"{\"active\":true,\"sub\":\"a\",\"aud\":\"https://api.test\"}".to_vec();
    let not_utf8 = [b"{\"x\":\"\xff\",", &bytes[1..]].concat();
    for (what, script) in [
        ("500", Response::status(500)),
        ("50 MB of spaces before the response", Response::Padded(50 << 20, bytes.clone())),
        ("an HTML page", Response::Answer(200, Vec::new(), b"<html>".to_vec())),
        ("invalid UTF-8", Response::Answer(200, Vec::new(), not_utf8)),
        (
            "a duplicate member",
            Response::Answer(200, Vec::new(), b"{\"active\":true,\"active\":true}".to_vec()),
        ),
        ("a redirect", Response::redirect("http://127.0.0.1:1/introspect")),
    ] {
        let fake = IntrospectingIssuer::start().await;
        let server = serve(fake.issuer(basic().cache(Duration::ZERO))).await;
        assert_eq!(get(&server, "known").await.status, 200, "{what}");
        fake.http.on("/introspect", script);
        let before = fake.requests().len();
        for n in 0..10 {
            let answer = get(&server, &format!("made-up-{n}")).await;
            assert_eq!(answer.status, 503, "{what}: {answer:?}");
        }
        assert_eq!(fake.requests().len() - before, 10, "{what}: all are introspected");
        for _ in 0..10 {
            assert_eq!(get(&server, "known").await.status, 503, "{what}");
        }
        assert_eq!(fake.requests().len() - before, 15, "{what}: then the circuit is open");
    }
}

#[tokio::test]
async fn unknown_tokens_cannot_keep_the_circuit_closed() {
    let time = PausedTime::start();
    for cache in [TokenCache::default(), TokenCache::off()] {
        let fake = IntrospectingIssuer::start().await;
        let issuer = fake.issuer(basic().cache(Duration::ZERO));
        let builder = StepUp::builder().issuer(issuer).token_cache(cache);
        let server = Server::start(app(builder.build().await.expect("built"))).await;
        assert_eq!(get(&server, "known").await.status, 200);
        fake.http.on("/introspect", Response::status(500));
        let before = fake.requests().len();
        for n in 0..20 {
            assert_eq!(get(&server, &format!("made-up-{n}")).await.status, 503);
            assert_eq!(get(&server, "known").await.status, 503);
        }
        assert_eq!(fake.requests().len() - before, 10, "five of each kind, {cache:?}");
        // The pause is over. After a trial with an unknown token, one trial with a known token is allowed.
        time.advance(Duration::from_millis(2100)).await;
        assert_eq!(get(&server, "made-up").await.status, 503);
        for _ in 0..5 {
            assert_eq!(get(&server, "known").await.status, 503);
        }
        assert_eq!(fake.requests().len() - before, 12);
        fake.respond_with(&fake.active());
        time.advance(Duration::from_millis(2100)).await;
        assert_eq!(get(&server, "another").await.status, 200);
        assert_eq!(get(&server, "known").await.status, 200);
    }
}

#[tokio::test]
async fn the_circuit_closes_again_when_the_issuer_recovers() {
    let (time, fake) = (PausedTime::start(), IntrospectingIssuer::start().await);
    let server = serve(fake.issuer(basic())).await;
    fake.http.on("/introspect", Response::status(503));
    for n in 0..6 {
        assert_eq!(get(&server, &format!("token-{n}")).await.status, 503);
    }
    fake.respond_with(&fake.active());
    assert_eq!(get(&server, "token").await.status, 503, "not tried yet");
    time.advance(Duration::from_millis(2100)).await;
    assert_eq!(get(&server, "token").await.status, 200);
    assert_eq!(get(&server, "another").await.status, 200);
}

#[tokio::test]
async fn a_status_that_the_token_may_have_caused_does_not_open_the_circuit() {
    let error = |error: &str| {
        Response::Answer(400, Vec::new(), json!({"error": error}).to_string().into_bytes())
    };
    for (script, expected) in [
        (Response::status(400), 401),
        (error("invalid_request"), 401),
        (error("invalid_client"), 503),
        (error("unauthorized_client"), 503),
        (Response::status(401), 503),
        (Response::status(403), 503),
        (Response::status(413), 503),
    ] {
        let fake = IntrospectingIssuer::start().await;
        let server = serve(fake.issuer(basic())).await;
        fake.http.on("/introspect", script.clone());
        for n in 0..10 {
            let answer = get(&server, &format!("token-{n}")).await;
            assert_eq!(answer.status, expected, "{script:?}");
        }
        assert_eq!(fake.requests().len(), 10);
        fake.respond_with(&fake.active());
        assert_eq!(get(&server, "good").await.status, 200, "{script:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_with_one_token_is_introspected_once_and_a_hanging_issuer_times_out() {
    let fake = IntrospectingIssuer::start().await;
    let server = Arc::new(serve(fake.issuer(basic())).await);
    let slow =
        Response::After(Duration::from_millis(300), Box::new(Response::json(&fake.active())));
    fake.http.on("/introspect", slow);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let server = Arc::clone(&server);
        calls.spawn(async move { get(&server, "one-token").await.status });
    }
    assert!(calls.join_all().await.iter().all(|status| *status == 200));
    assert_eq!(fake.requests().len(), 1);

    fake.http.on("/introspect", Response::Hang);
    let hanging = tokio::time::timeout(Duration::from_secs(8), get(&server, "another")).await;
    assert_eq!(hanging.expect("a response within 8 s").status, 503);
}

#[tokio::test]
async fn signed_responses_are_verified_and_unsigned_ones_are_refused_if_required() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let server = serve(idp.issuer().introspect(idp.introspection().signed_responses())).await;
    assert_eq!(get(&server, &idp.opaque(idp.token())).await.body, "alice");
    assert_eq!(get(&server, "never-issued").await.status, 401);

    let fake = IntrospectingIssuer::start().await;
    let server = serve(fake.issuer(basic().signed_responses())).await;
    assert_eq!(get(&server, "token-0").await.status, 503, "unsigned");
    fake.respond_with(&json!({"active": false}));
    assert_eq!(get(&server, "token-1").await.status, 401, "refused even if unsigned");
    let answer = |token: String| {
        let kind = ("content-type", "application/token-introspection+jwt".to_owned());
        Response::Answer(200, vec![kind], token.into_bytes())
    };
    let signed = || {
        fake.idp
            .token()
            .header("typ", "token-introspection+jwt")
            .claim("iss", fake.http.url.as_str())
            .claim("aud", "api")
            .claim("token_introspection", fake.active())
    };
    let stranger = TestIssuer::start().await.expect("another issuer");
    for (n, (what, token, expected)) in [
        ("a valid response", signed().mint(), 200),
        ("several audiences", signed().claim("aud", json!(["x", "api"])).mint(), 200),
        ("another type", signed().header("typ", "at+jwt").mint(), 503),
        ("another issuer", signed().claim("iss", "https://other.example").mint(), 503),
        ("another audience", signed().claim("aud", "other").mint(), 503),
        ("issued yesterday", signed().claim("iat", now() - 86_400).mint(), 503),
        ("without an issue time", signed().without("iat").mint(), 503),
        ("without an introspection response", signed().without("token_introspection").mint(), 503),
        (
            "signed by another issuer",
            stranger.token().header("typ", "token-introspection+jwt").mint(),
            503,
        ),
        ("not a JWT", "x".into(), 503),
    ]
    .into_iter()
    .enumerate()
    {
        let server = serve(fake.issuer(basic().signed_responses())).await;
        fake.http.on("/introspect", answer(token));
        assert_eq!(get(&server, &format!("token-{n}")).await.status, expected, "{what}");
    }
    // A signed introspection response is not an access token, although the issuer signed it.
    let server = serve(fake.issuer(basic())).await;
    assert_eq!(get(&server, &signed().mint()).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_login_waits_its_turn_among_made_up_tokens() {
    let fake = IntrospectingIssuer::start().await;
    let server = Arc::new(serve(fake.issuer(basic())).await);
    let hold = Hold::default();
    let inactive = Response::json(&json!({"active": false}));
    fake.http.on("/introspect", Response::Held(hold.clone(), Box::new(inactive)));
    let mut made_up = tokio::task::JoinSet::new();
    for n in 0..192 {
        let server = Arc::clone(&server);
        made_up.spawn(async move { get(&server, &format!("made-up-{n}")).await.status });
    }
    fake.http.wait_for_requests("/introspect", 191).await;
    fake.respond_with(&fake.active());
    let login = tokio::spawn({
        let server = Arc::clone(&server);
        async move { get(&server, "a-new-login").await.status }
    });
    // Without a turn in time, the response is 503.
    let started = std::time::Instant::now();
    let late = Arc::clone(&server);
    assert_eq!(get(&late, "another-login").await.status, 503);
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(login.await.expect("no panic"), 503);
    let login = tokio::spawn(async move { get(&server, "a-third-login").await.status });
    hold.release();
    assert_eq!(login.await.expect("no panic"), 200);
    assert!(made_up.join_all().await.iter().all(|status| *status == 401));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_with_many_made_up_tokens_does_not_delay_a_login_from_another() {
    let fake = IntrospectingIssuer::start().await;
    let step_up = StepUp::builder().issuer(fake.issuer(basic())).build().await.expect("built");
    // As behind a proxy that reports the address.
    let address = |mut request: axum::extract::Request| async move {
        let address = request.headers().get("x-real-ip").and_then(|address| address.to_str().ok());
        if let Some(address) = address.and_then(|address| address.parse().ok()) {
            request.extensions_mut().insert(ClientAddress(address));
        }
        request
    };
    let server = Server::start(app(step_up).layer(axum::middleware::map_request(address))).await;
    let client = reqwest::Client::new();
    let send = |address: &'static str, token: String| {
        let request = client.get(server.url("/profile"));
        let request = request.header("x-real-ip", address).bearer_auth(token);
        async move { Answer::of(request).await.status }
    };
    let hold = Hold::default();
    let inactive = Response::json(&json!({"active": false}));
    fake.http.on("/introspect", Response::Held(hold.clone(), Box::new(inactive)));
    let mut made_up = tokio::task::JoinSet::new();
    for n in 0..300 {
        made_up.spawn(send("192.0.2.1", format!("made-up-{n}")));
    }
    fake.http.wait_for_requests("/introspect", 199).await;
    fake.respond_with(&fake.active());
    assert_eq!(send("192.0.2.2", "a-new-login".into()).await, 200);
    hold.release();
    let answers = made_up.join_all().await;
    assert!(answers.iter().all(|status| [200, 401, 503].contains(status)), "{answers:?}");
}
