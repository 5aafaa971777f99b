//! An issuer that rotates its keys or responds slowly: which requests are allowed, which are refused, and how often
//! the keys are fetched.

use super::{app, built, serve, status};
use axum::body::Body;
use http::Request;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use stepup_runtime::StepUp;
use stepup_runtime::testing::{TestAlgorithm, TestClock, TestIssuer};
use stepup_tests::fake_issuer::{Hold, Response};
use stepup_tests::paused_time::{PausedTime, eventually};
use stepup_tests::rotating_issuer::{COOLDOWN, DISCOVERY, RotatingIssuer};
use stepup_tests::server::Server;
use tower::ServiceExt;

#[tokio::test]
async fn an_invalid_key_in_the_set_does_not_affect_the_others() {
    let fake = RotatingIssuer::start().await;
    let mut keys = fake.keys();
    let list = keys["keys"].as_array_mut().expect("a list");
    list.insert(0, json!({"kty": "RSA", "n": "??", "e": "AQAB", "kid": "broken"}));
    list.insert(0, json!(7));
    fake.http.on("/jwks", Response::json(&keys));
    let server = serve(fake.issuer()).await;
    assert_eq!(status(&server, &fake.token().mint()).await, 200);
    assert_eq!(status(&server, &fake.token().header("kid", "broken").mint()).await, 401);
}

/// Key ids should be unique (RFC 7517 §4.5), but some issuers reuse an id while they rotate their keys.
#[tokio::test]
async fn keys_with_the_same_id_are_tried_in_turn() {
    let fake = RotatingIssuer::start().await;
    let kid = fake.keys()["keys"][0]["kid"].as_str().expect("a kid").to_owned();
    let server = serve(fake.issuer().key_refresh_cooldown(Duration::ZERO)).await;
    let mut tokens = vec![fake.token().mint()];
    for _ in 0..3 {
        fake.signer.rotate_keeping(&kid, TestAlgorithm::Es256).expect("a key");
        tokens.push(fake.token().mint());
    }
    fake.publish();
    for token in tokens.iter().rev() {
        assert_eq!(status(&server, token).await, 200);
    }
    // A client chooses the key id, so at most four keys with the same id are tried.
    for _ in 0..4 {
        fake.signer.rotate_keeping(&kid, TestAlgorithm::Es256).expect("a key");
    }
    fake.publish();
    let fresh = serve(fake.issuer()).await;
    let mut accepted = 0;
    for token in &tokens {
        accepted += usize::from(status(&fresh, token).await == 200);
    }
    assert!(accepted < tokens.len(), "{accepted}");
}

#[tokio::test]
async fn a_key_set_with_a_wrong_content_type_is_still_read() {
    let fake = RotatingIssuer::start().await;
    let html = ("content-type", "text/html".to_owned());
    let keys = fake.keys().to_string().into_bytes();
    fake.http.on("/jwks", Response::Answer(200, vec![html], keys));
    let server = serve(fake.issuer()).await;
    assert_eq!(status(&server, &fake.token().mint()).await, 200);
}

#[tokio::test]
async fn a_key_that_is_replaced_under_the_same_kid_is_fetched_once_per_cooldown() {
    let fake = RotatingIssuer::start().await;
    let (time, cooldown) = (PausedTime::start(), Duration::from_secs(2));
    let server = serve(fake.issuer().key_refresh_cooldown(cooldown)).await;
    let old = fake.token().mint();
    assert_eq!(status(&server, &old).await, 200);
    let kid = fake.keys()["keys"][0]["kid"].as_str().expect("a kid").to_owned();
    fake.signer.rotate(&kid, TestAlgorithm::Es256).expect("a new key");
    fake.publish();
    let new = fake.token().mint();
    assert_eq!(status(&server, &new).await, 200);
    assert_eq!(status(&server, &old).await, 401, "the cached token's key was removed");
    let before = fake.fetches();
    for _ in 0..20 {
        assert_eq!(status(&server, &old).await, 401);
    }
    assert_eq!(fake.fetches() - before, 0, "within the cooldown");
    time.advance(cooldown).await;
    for _ in 0..20 {
        assert_eq!(status(&server, &old).await, 401);
    }
    assert_eq!(fake.fetches() - before, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_ten_thousand_unknown_kids_causes_one_fetch() {
    let fake = RotatingIssuer::start().await;
    let step_up = built(fake.issuer().key_refresh_cooldown(Duration::from_secs(3600))).await;
    let server = Arc::new(Server::start(app(step_up.expect("built"))).await);
    let before = fake.fetches();
    // The response is slow, so that many requests wait for the same fetch.
    let slow = Response::After(Duration::from_millis(300), Box::new(Response::json(&fake.keys())));
    fake.http.on("/jwks", slow);
    let client = reqwest::Client::new();
    let mut calls = tokio::task::JoinSet::new();
    for worker in 0..50 {
        let (server, client) = (Arc::clone(&server), client.clone());
        let tokens: Vec<String> = (0..200)
            .map(|n| fake.token().header("kid", format!("unknown-{worker}-{n}")).mint())
            .collect();
        calls.spawn(async move {
            for token in tokens {
                let request = client.get(server.url("/profile")).bearer_auth(token);
                assert_eq!(request.send().await.expect("an answer").status(), 401);
            }
        });
    }
    calls.join_all().await;
    assert_eq!(fake.fetches() - before, 1);
    assert_eq!(status(&server, &fake.token().mint()).await, 200);
}

#[tokio::test]
async fn a_kid_that_was_missing_from_the_key_set_causes_no_second_fetch_after_the_cooldown() {
    let (time, fake) = (PausedTime::start(), RotatingIssuer::start().await);
    let server = serve(fake.issuer()).await;
    let old = fake.token().header("kid", "gone").mint();
    assert_eq!(status(&server, &old).await, 401);
    let before = fake.fetches();
    time.advance(COOLDOWN).await;
    assert_eq!(status(&server, &old).await, 401);
    assert_eq!(fake.fetches() - before, 0, "so that the next new key can be fetched at once");
    fake.signer.rotate("new", TestAlgorithm::Es256).expect("a new key");
    fake.publish();
    assert_eq!(status(&server, &fake.token().mint()).await, 200);
    // The key set has changed, so a key that was missing before may be in it now.
    time.advance(COOLDOWN).await;
    let before = fake.fetches();
    assert_eq!(status(&server, &old).await, 401);
    assert_eq!(fake.fetches() - before, 1);
}

#[tokio::test]
async fn an_expired_token_with_an_unknown_key_causes_no_fetch() {
    let fake = RotatingIssuer::start().await;
    let server = serve(fake.issuer()).await;
    let before = fake.fetches();
    let old = fake.token().header("kid", "gone").claim("exp", 1_700_000_000).mint();
    assert_eq!(status(&server, &old).await, 401);
    assert_eq!(fake.fetches() - before, 0);
}

#[tokio::test]
async fn keys_are_refreshed_on_schedule_with_their_etag_and_within_their_max_age() {
    let fake = RotatingIssuer::start().await;
    let tagged = |keys: &Value, tag: &str| {
        let headers = vec![("etag", tag.to_owned()), ("cache-control", "max-age=0".to_owned())];
        Response::Answer(200, headers, keys.to_string().into_bytes())
    };
    fake.http.on("/jwks", tagged(&fake.keys(), "\"one\""));
    let (time, cooldown) = (PausedTime::start(), Duration::from_secs(10));
    let issuer = fake.issuer().key_refresh_cooldown(cooldown);
    let server = serve(issuer).await;
    let token = fake.token().mint();
    assert_eq!(status(&server, &token).await, 200);
    let not_modified = vec![("cache-control", "max-age=0".to_owned())];
    fake.http.on("/jwks", Response::Answer(304, not_modified, Vec::new()));
    for expected in 2..5 {
        time.advance(2 * cooldown).await;
        eventually(async || fake.fetches() == expected).await;
        assert_eq!(status(&server, &token).await, 200);
    }
    let requests = fake.http.requests("/jwks");
    assert_eq!(requests[0].headers.get("if-none-match"), None);
    for later in &requests[1..] {
        assert_eq!(later.headers.get("if-none-match").map(String::as_str), Some("\"one\""));
    }
    assert_eq!(status(&server, &token).await, 200, "the keys have not changed");

    // A scheduled fetch notices a removed key, without any request.
    fake.signer.rotate("two", TestAlgorithm::Es256).expect("a new key");
    fake.http.on("/jwks", tagged(&fake.keys(), "\"two\""));
    time.advance(2 * cooldown).await;
    eventually(async || status(&server, &token).await == 401).await;
    assert_eq!(status(&server, &fake.token().mint()).await, 200);

    drop(server);
    let stopped = fake.fetches();
    for _ in 0..3 {
        time.advance(2 * cooldown).await;
    }
    assert_eq!(fake.fetches(), stopped, "without users, the keys are not refreshed");
}

#[tokio::test]
async fn stale_keys_are_503_until_they_are_fetched_again() {
    let fake = RotatingIssuer::start().await;
    let (time, interval) = (PausedTime::start(), Duration::from_secs(10));
    let issuer = fake.issuer().key_refresh_cooldown(interval).key_refresh_interval(interval);
    let server = serve(issuer.max_stale(5 * interval)).await;
    let token = fake.token().mint();
    for _ in 0..5 {
        let before = fake.fetches();
        time.advance(interval).await;
        eventually(async || {
            time.advance(interval / 100).await;
            fake.fetches() > before
        })
        .await;
        assert_eq!(status(&server, &token).await, 200, "refreshed in the meantime");
    }
    fake.http.on("/jwks", Response::status(500));
    time.advance(3 * interval / 2).await;
    assert_eq!(status(&server, &token).await, 200, "not stale yet");
    time.advance(6 * interval).await;
    assert_eq!(status(&server, &token).await, 503, "a cached token too");
    assert_eq!(status(&server, &fake.token().claim("jti", "2").mint()).await, 503);
    fake.publish();
    eventually(async || {
        time.advance(interval / 2).await;
        status(&server, &token).await == 200
    })
    .await;
}

#[tokio::test]
async fn a_lazy_issuer_starts_without_keys_and_works_once_they_are_fetched() {
    let (time, fake) = (PausedTime::start(), RotatingIssuer::start().await);
    fake.http.on(DISCOVERY, Response::status(503));
    let server = serve(fake.issuer().lazy()).await;
    let token = fake.token().mint();
    let answer = server.call("GET", "/profile", Some(&token)).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["type"], "urn:stepup:problem:unavailable");
    fake.publish();
    time.advance(COOLDOWN + Duration::from_millis(50)).await;
    assert_eq!(status(&server, &token).await, 200);
}

#[tokio::test]
async fn a_client_that_disconnects_does_not_cancel_the_fetch() {
    let fake = RotatingIssuer::start().await;
    let step_up = built(fake.issuer().key_refresh_cooldown(Duration::from_secs(3600))).await;
    let router = app(step_up.expect("built"));
    fake.signer.rotate("new", TestAlgorithm::Es256).expect("a new key");
    let (hold, before) = (Hold::default(), fake.fetches());
    fake.http.on("/jwks", Response::Held(hold.clone(), Box::new(Response::json(&fake.keys()))));
    let token = fake.token().mint();
    let request = || {
        let request = Request::get("/profile").header("authorization", format!("Bearer {token}"));
        router.clone().oneshot(request.body(Body::empty()).expect("a request"))
    };
    // Like a server whose client disconnects, the test drops the future of the request.
    let disconnected = tokio::spawn(request());
    fake.http.wait_for_requests("/jwks", before).await;
    disconnected.abort();
    assert!(disconnected.await.is_err(), "the request was dropped");
    hold.release();
    assert_eq!(request().await.expect("infallible").status(), 200);
    assert_eq!(fake.fetches(), before + 1, "the disconnected client's fetch was completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_issuer_delays_only_the_requests_that_need_it() {
    let fake = RotatingIssuer::start().await;
    let server = Arc::new(serve(fake.issuer()).await);
    let known = fake.token().mint();
    let before = fake.fetches();
    fake.http.on("/jwks", Response::Hang);
    let unknown = fake.token().header("kid", "unknown").mint();
    let waiting = tokio::spawn({
        let server = Arc::clone(&server);
        async move { status(&server, &unknown).await }
    });
    fake.http.wait_for_requests("/jwks", before).await;
    assert_eq!(status(&server, &known).await, 200);
    assert!(!waiting.is_finished(), "the other request still waits");
    assert_eq!(waiting.await.expect("no panic"), 503);
}

#[tokio::test]
async fn a_clock_difference_is_tolerated_only_within_the_configured_skew() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let clock = TestClock::at(2_000_000_000);
    let issuer = idp.issuer().clock_skew(60);
    let step_up = StepUp::builder().issuer(issuer).clock(clock.clone()).build().await;
    let server = Server::start(app(step_up.expect("built"))).await;
    for (ahead, expected) in [(0, 200), (60, 200), (61, 401)] {
        let token = idp.token_at(2_000_000_000 + ahead).mint();
        assert_eq!(status(&server, &token).await, expected, "{ahead} seconds ahead");
    }
    let token = idp.token_at(2_000_000_000).mint();
    for (now, expected) in [(3599, 200), (3600, 401), (0, 200)] {
        clock.set(2_000_000_000 + now);
        assert_eq!(status(&server, &token).await, expected, "at expiry, cached or not: {now}");
    }
}
