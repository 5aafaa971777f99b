//! Introspection when something is wrong: at the issuer, on the way, or with the token that is asked about.

use crate::{app, ask, serve};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use stepup_runtime::testing::TestIssuer;
use stepup_runtime::{StepUp, TokenCache};
use stepup_tests::introspected::{Peer, basic};
use stepup_tests::scripted::Script;
use stepup_tests::server::Server;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

#[tokio::test]
async fn what_goes_wrong_at_the_issuer_is_503_and_opens_the_circuit() {
    let bytes = b"{\"active\":true,\"sub\":\"a\",\"aud\":\"https://api.test\"}".to_vec();
    for (what, script) in [
        ("out of service", Script::status(503)),
        ("too many requests", Script::status(429)),
        ("closes", Script::Close),
        ("half a body", Script::HalfBody(bytes.clone())),
        ("a gateway that is down", Script::status(502)),
    ] {
        let peer = Peer::start().await;
        let server = serve(peer.issuer(basic())).await;
        let known = "known-token";
        assert_eq!(ask(&server, known).await.status, 200, "{what}");
        peer.http.on("/introspect", script);
        let before = peer.asked().len();
        for n in 0..20 {
            let answer = ask(&server, &format!("token-{n}")).await;
            assert_eq!(answer.status, 503, "{what}: {answer:?}");
            assert!(answer.header("retry-after").is_some(), "{what}");
        }
        assert_eq!(peer.asked().len() - before, 5, "{what}: then the circuit is open");
        assert_eq!(ask(&server, known).await.status, 200, "{what}: what is kept still serves");
    }
}

/// A client chooses its tokens: if an answer to one that nobody knows opened the circuit, it would be open for all.
#[tokio::test]
async fn an_odd_answer_opens_the_circuit_only_about_tokens_that_were_active() {
    let bytes = b"{\"active\":true,\"sub\":\"a\",\"aud\":\"https://api.test\"}".to_vec();
    let not_utf8 = [b"{\"x\":\"\xff\",", &bytes[1..]].concat();
    for (what, script) in [
        ("500", Script::status(500)),
        ("50 MB of spaces before it", Script::Padded(50 << 20, bytes.clone())),
        ("a page", Script::Answer(200, Vec::new(), b"<html>".to_vec())),
        ("invalid UTF-8", Script::Answer(200, Vec::new(), not_utf8)),
        (
            "a member twice",
            Script::Answer(200, Vec::new(), b"{\"active\":true,\"active\":true}".to_vec()),
        ),
        ("a redirect", Script::redirect("http://127.0.0.1:1/introspect")),
    ] {
        let peer = Peer::start().await;
        let server = serve(peer.issuer(basic().cache(Duration::ZERO))).await;
        assert_eq!(ask(&server, "known").await.status, 200, "{what}");
        peer.http.on("/introspect", script);
        let before = peer.asked().len();
        for n in 0..10 {
            let answer = ask(&server, &format!("made-up-{n}")).await;
            assert_eq!(answer.status, 503, "{what}: {answer:?}");
        }
        assert_eq!(peer.asked().len() - before, 10, "{what}: all are asked about");
        for _ in 0..10 {
            assert_eq!(ask(&server, "known").await.status, 503, "{what}");
        }
        assert_eq!(peer.asked().len() - before, 15, "{what}: then the circuit is open");
    }
}

#[tokio::test]
async fn made_up_tokens_keep_no_circuit_closed_that_others_open() {
    for cache in [TokenCache::default(), TokenCache::off()] {
        let peer = Peer::start().await;
        let issuer = peer.issuer(basic().cache(Duration::ZERO));
        let builder = StepUp::builder().issuer(issuer).token_cache(cache);
        let server = Server::start(app(builder.build().await.expect("built"))).await;
        assert_eq!(ask(&server, "known").await.status, 200);
        peer.http.on("/introspect", Script::status(500));
        let before = peer.asked().len();
        for n in 0..20 {
            assert_eq!(ask(&server, &format!("made-up-{n}")).await.status, 503);
            assert_eq!(ask(&server, "known").await.status, 503);
        }
        assert_eq!(peer.asked().len() - before, 10, "five of each, {cache:?}");
        // The pause is over: a trial with a token that nobody knows lets one ask who is known, and no more.
        tokio::time::sleep(Duration::from_millis(2100)).await;
        assert_eq!(ask(&server, "made-up").await.status, 503);
        for _ in 0..5 {
            assert_eq!(ask(&server, "known").await.status, 503);
        }
        assert_eq!(peer.asked().len() - before, 12);
        peer.answer(&peer.active());
        tokio::time::sleep(Duration::from_millis(2100)).await;
        assert_eq!(ask(&server, "another").await.status, 200);
        assert_eq!(ask(&server, "known").await.status, 200);
    }
}

#[tokio::test]
async fn the_circuit_closes_again_when_the_issuer_is_back() {
    let peer = Peer::start().await;
    let server = serve(peer.issuer(basic())).await;
    peer.http.on("/introspect", Script::status(503));
    for n in 0..6 {
        assert_eq!(ask(&server, &format!("token-{n}")).await.status, 503);
    }
    peer.answer(&peer.active());
    assert_eq!(ask(&server, "token").await.status, 503, "not tried yet");
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(ask(&server, "token").await.status, 200);
    assert_eq!(ask(&server, "another").await.status, 200);
}

#[tokio::test]
async fn a_status_that_a_token_can_cause_does_not_open_the_circuit() {
    let error = |error: &str| {
        Script::Answer(400, Vec::new(), json!({"error": error}).to_string().into_bytes())
    };
    for (script, expected) in [
        (Script::status(400), 401),
        (error("invalid_request"), 401),
        (error("invalid_client"), 503),
        (error("unauthorized_client"), 503),
        (Script::status(401), 503),
        (Script::status(403), 503),
        (Script::status(413), 503),
    ] {
        let peer = Peer::start().await;
        let server = serve(peer.issuer(basic())).await;
        peer.http.on("/introspect", script.clone());
        for n in 0..10 {
            let answer = ask(&server, &format!("token-{n}")).await;
            assert_eq!(answer.status, expected, "{script:?}");
        }
        assert_eq!(peer.asked().len(), 10);
        peer.answer(&peer.active());
        assert_eq!(ask(&server, "good").await.status, 200, "{script:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_one_token_asks_once_and_a_hanging_issuer_is_given_up() {
    let peer = Peer::start().await;
    let server = Arc::new(serve(peer.issuer(basic())).await);
    let slow = Script::After(Duration::from_millis(300), Box::new(Script::json(&peer.active())));
    peer.http.on("/introspect", slow);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let server = Arc::clone(&server);
        calls.spawn(async move { ask(&server, "one-token").await.status });
    }
    assert!(calls.join_all().await.iter().all(|status| *status == 200));
    assert_eq!(peer.asked().len(), 1);

    peer.http.on("/introspect", Script::Hang);
    let hanging = tokio::time::timeout(Duration::from_secs(8), ask(&server, "another")).await;
    assert_eq!(hanging.expect("given up").status, 503);
}

#[tokio::test]
async fn signed_answers_are_verified_and_unsigned_ones_refused_where_they_are_asked() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let server = serve(idp.issuer().introspect(idp.introspection().signed_responses())).await;
    assert_eq!(ask(&server, &idp.opaque(idp.token())).await.body, "alice");
    assert_eq!(ask(&server, "never-issued").await.status, 401);

    let peer = Peer::start().await;
    let server = serve(peer.issuer(basic().signed_responses())).await;
    assert_eq!(ask(&server, "token-0").await.status, 503, "unsigned");
    peer.answer(&json!({"active": false}));
    assert_eq!(ask(&server, "token-1").await.status, 401, "unsigned, and a refusal all the same");
    let answer = |token: String| {
        let kind = ("content-type", "application/token-introspection+jwt".to_owned());
        Script::Answer(200, vec![kind], token.into_bytes())
    };
    let said = || {
        peer.idp
            .token()
            .header("typ", "token-introspection+jwt")
            .claim("iss", peer.http.url.as_str())
            .claim("aud", "api")
            .claim("token_introspection", peer.active())
    };
    let stranger = TestIssuer::start().await.expect("another issuer");
    for (n, (what, token, expected)) in [
        ("as it should be", said().mint(), 200),
        ("for others as well", said().claim("aud", json!(["x", "api"])).mint(), 200),
        ("of another type", said().header("typ", "at+jwt").mint(), 503),
        ("of another issuer", said().claim("iss", "https://other.example").mint(), 503),
        ("for another client", said().claim("aud", "other").mint(), 503),
        ("of yesterday", said().claim("iat", now() - 86_400).mint(), 503),
        ("without a time", said().without("iat").mint(), 503),
        ("without what is said", said().without("token_introspection").mint(), 503),
        (
            "signed by another",
            stranger.token().header("typ", "token-introspection+jwt").mint(),
            503,
        ),
        ("not a JWT", "x".into(), 503),
    ]
    .into_iter()
    .enumerate()
    {
        let server = serve(peer.issuer(basic().signed_responses())).await;
        peer.http.on("/introspect", answer(token));
        assert_eq!(ask(&server, &format!("token-{n}")).await.status, expected, "{what}");
    }
    // Such an answer is no access token, although the issuer has signed it.
    let server = serve(peer.issuer(basic())).await;
    assert_eq!(ask(&server, &said().mint()).await.status, 401);
}
