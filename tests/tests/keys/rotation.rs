//! An issuer's keys when the issuer rotates them, or is slow: what is served, what is refused, and how often the
//! issuer is asked.

use crate::{app, built, serve, status};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use stepup_runtime::StepUp;
use stepup_runtime::testing::{TestAlgorithm, TestClock, TestIssuer};
use stepup_tests::rotating::{COOLDOWN, DISCOVERY, Peer};
use stepup_tests::scripted::Script;
use stepup_tests::server::Server;

#[tokio::test]
async fn one_broken_key_of_the_set_does_not_spoil_the_others() {
    let peer = Peer::start().await;
    let mut keys = peer.keys();
    let list = keys["keys"].as_array_mut().expect("a list");
    list.insert(0, json!({"kty": "RSA", "n": "??", "e": "AQAB", "kid": "broken"}));
    list.insert(0, json!(7));
    peer.http.on("/jwks", Script::json(&keys));
    let server = serve(peer.issuer()).await;
    assert_eq!(status(&server, &peer.token().mint()).await, 200);
    assert_eq!(status(&server, &peer.token().header("kid", "broken").mint()).await, 401);
}

/// Which ids should not, and some issuers' do while they change their keys (RFC 7517 §4.5).
#[tokio::test]
async fn keys_of_one_id_are_tried_one_after_the_other() {
    let peer = Peer::start().await;
    let kid = peer.keys()["keys"][0]["kid"].as_str().expect("a kid").to_owned();
    let server = serve(peer.issuer().key_refresh_cooldown(Duration::ZERO)).await;
    let mut tokens = vec![peer.token().mint()];
    for _ in 0..3 {
        peer.signer.rotate_keeping(&kid, TestAlgorithm::Es256).expect("a key");
        tokens.push(peer.token().mint());
    }
    peer.mend();
    for token in tokens.iter().rev() {
        assert_eq!(status(&server, token).await, 200);
    }
    // A client names the key: a set of many costs it no more than four.
    for _ in 0..4 {
        peer.signer.rotate_keeping(&kid, TestAlgorithm::Es256).expect("a key");
    }
    peer.mend();
    let fresh = serve(peer.issuer()).await;
    let mut good = 0;
    for token in &tokens {
        good += usize::from(status(&fresh, token).await == 200);
    }
    assert!(good < tokens.len(), "{good}");
}

#[tokio::test]
async fn a_key_set_with_a_wrong_content_type_is_read_all_the_same() {
    let peer = Peer::start().await;
    let html = ("content-type", "text/html".to_owned());
    let keys = peer.keys().to_string().into_bytes();
    peer.http.on("/jwks", Script::Answer(200, vec![html], keys));
    let server = serve(peer.issuer()).await;
    assert_eq!(status(&server, &peer.token().mint()).await, 200);
}

#[tokio::test]
async fn a_known_kid_with_new_numbers_is_fetched_again_once_per_cooldown() {
    let peer = Peer::start().await;
    let cooldown = Duration::from_secs(2);
    let server = serve(peer.issuer().key_refresh_cooldown(cooldown)).await;
    let old = peer.token().mint();
    assert_eq!(status(&server, &old).await, 200);
    let kid = peer.keys()["keys"][0]["kid"].as_str().expect("a kid").to_owned();
    peer.signer.rotate(&kid, TestAlgorithm::Es256).expect("new numbers");
    peer.mend();
    let new = peer.token().mint();
    assert_eq!(status(&server, &new).await, 200);
    assert_eq!(status(&server, &old).await, 401, "the cached token's key was withdrawn");
    let before = peer.fetches();
    for _ in 0..20 {
        assert_eq!(status(&server, &old).await, 401);
    }
    assert_eq!(peer.fetches() - before, 0, "within the cooldown");
    tokio::time::sleep(cooldown).await;
    for _ in 0..20 {
        assert_eq!(status(&server, &old).await, 401);
    }
    assert_eq!(peer.fetches() - before, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_unknown_kids_in_a_burst_cost_one_fetch() {
    let peer = Peer::start().await;
    let step_up = built(peer.issuer().key_refresh_cooldown(Duration::from_secs(60))).await;
    let server = Arc::new(Server::start(app(step_up.expect("built"))).await);
    let before = peer.fetches();
    // Slow, so that many wait for the same fetch.
    let slow = Script::After(Duration::from_millis(300), Box::new(Script::json(&peer.keys())));
    peer.http.on("/jwks", slow);
    let client = reqwest::Client::new();
    let mut calls = tokio::task::JoinSet::new();
    for worker in 0..50 {
        let (server, client) = (Arc::clone(&server), client.clone());
        let tokens: Vec<String> = (0..200)
            .map(|n| peer.token().header("kid", format!("unknown-{worker}-{n}")).mint())
            .collect();
        calls.spawn(async move {
            for token in tokens {
                let request = client.get(server.url("/profile")).bearer_auth(token);
                assert_eq!(request.send().await.expect("an answer").status(), 401);
            }
        });
    }
    calls.join_all().await;
    assert_eq!(peer.fetches() - before, 1);
    assert_eq!(status(&server, &peer.token().mint()).await, 200);
}

#[tokio::test]
async fn a_kid_that_is_known_to_be_unknown_costs_no_second_fetch_after_the_cooldown() {
    let peer = Peer::start().await;
    let server = serve(peer.issuer()).await;
    let old = peer.token().header("kid", "gone").mint();
    assert_eq!(status(&server, &old).await, 401);
    let before = peer.fetches();
    tokio::time::sleep(COOLDOWN).await;
    assert_eq!(status(&server, &old).await, 401);
    assert_eq!(peer.fetches() - before, 0, "so that the next new key gets its fetch at once");
    peer.signer.rotate("new", TestAlgorithm::Es256).expect("a new key");
    peer.mend();
    assert_eq!(status(&server, &peer.token().mint()).await, 200);
    // The set is new, so that what was unknown may be known.
    tokio::time::sleep(COOLDOWN).await;
    let before = peer.fetches();
    assert_eq!(status(&server, &old).await, 401);
    assert_eq!(peer.fetches() - before, 1);
}

#[tokio::test]
async fn an_expired_token_of_a_key_that_is_gone_asks_nobody() {
    let peer = Peer::start().await;
    let server = serve(peer.issuer()).await;
    let before = peer.fetches();
    let old = peer.token().header("kid", "gone").claim("exp", 1_700_000_000).mint();
    assert_eq!(status(&server, &old).await, 401);
    assert_eq!(peer.fetches() - before, 0);
}

#[tokio::test]
async fn keys_are_renewed_on_schedule_with_their_tag_and_within_what_the_issuer_allows() {
    let peer = Peer::start().await;
    let tagged = |keys: &Value, tag: &str| {
        let headers = vec![("etag", tag.to_owned()), ("cache-control", "max-age=0".to_owned())];
        Script::Answer(200, headers, keys.to_string().into_bytes())
    };
    peer.http.on("/jwks", tagged(&peer.keys(), "\"one\""));
    let cooldown = Duration::from_millis(100);
    let issuer = peer.issuer().key_refresh_cooldown(cooldown);
    let server = serve(issuer).await;
    let token = peer.token().mint();
    assert_eq!(status(&server, &token).await, 200);
    let not_modified = vec![("cache-control", "max-age=0".to_owned())];
    peer.http.on("/jwks", Script::Answer(304, not_modified, Vec::new()));
    tokio::time::sleep(Duration::from_millis(450)).await;
    let requests = peer.http.requests("/jwks");
    assert!((3..=6).contains(&requests.len()), "{}", requests.len());
    assert_eq!(requests[0].headers.get("if-none-match"), None);
    for later in &requests[1..] {
        assert_eq!(later.headers.get("if-none-match").map(String::as_str), Some("\"one\""));
    }
    assert_eq!(status(&server, &token).await, 200, "the same keys go on");

    // A key that the issuer withdraws is noticed without any token that asks for it.
    peer.signer.rotate("two", TestAlgorithm::Es256).expect("a new key");
    peer.http.on("/jwks", tagged(&peer.keys(), "\"two\""));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(status(&server, &token).await, 401);
    assert_eq!(status(&server, &peer.token().mint()).await, 200);

    drop(server);
    tokio::time::sleep(Duration::from_millis(150)).await;
    let stopped = peer.fetches();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(peer.fetches(), stopped, "nobody uses the keys any more");
}

#[tokio::test]
async fn keys_that_could_not_be_confirmed_for_too_long_are_503_until_they_are() {
    let peer = Peer::start().await;
    let issuer = peer.issuer().key_refresh_cooldown(Duration::from_millis(100));
    let issuer = issuer.key_refresh_interval(Duration::from_millis(100));
    let server = serve(issuer.max_stale(Duration::from_millis(500))).await;
    let token = peer.token().mint();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(status(&server, &token).await, 200, "confirmed again and again");
    peer.http.on("/jwks", Script::status(500));
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(status(&server, &token).await, 200, "not too long yet");
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(status(&server, &token).await, 503, "a verified token too");
    assert_eq!(status(&server, &peer.token().claim("jti", "2").mint()).await, 503);
    peer.mend();
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(status(&server, &token).await, 200);
}

#[tokio::test]
async fn a_lazy_issuer_starts_without_keys_and_serves_as_soon_as_it_has_some() {
    let peer = Peer::start().await;
    peer.http.on(DISCOVERY, Script::status(503));
    let server = serve(peer.issuer().lazy()).await;
    let token = peer.token().mint();
    let answer = server.call("GET", "/profile", Some(&token)).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["type"], "urn:stepup:problem:unavailable");
    peer.mend();
    tokio::time::sleep(COOLDOWN + Duration::from_millis(50)).await;
    assert_eq!(status(&server, &token).await, 200);
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_cancel_the_fetch() {
    let peer = Peer::start().await;
    let server = serve(peer.issuer()).await;
    peer.signer.rotate("new", TestAlgorithm::Es256).expect("a new key");
    let slow = Script::After(Duration::from_millis(300), Box::new(Script::json(&peer.keys())));
    peer.http.on("/jwks", slow);
    let token = peer.token().mint();
    let hasty = tokio::time::timeout(Duration::from_millis(100), status(&server, &token)).await;
    assert!(hasty.is_err(), "it has hung up");
    tokio::time::sleep(Duration::from_millis(400)).await;
    let before = peer.fetches();
    assert_eq!(status(&server, &token).await, 200);
    assert_eq!(peer.fetches(), before, "the fetch of the one who hung up has served");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_hangs_holds_up_only_who_needs_it() {
    let peer = Peer::start().await;
    let server = Arc::new(serve(peer.issuer()).await);
    let known = peer.token().mint();
    peer.http.on("/jwks", Script::Hang);
    let unknown = peer.token().header("kid", "unknown").mint();
    let waiting = tokio::spawn({
        let server = Arc::clone(&server);
        async move { status(&server, &unknown).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    assert_eq!(status(&server, &known).await, 200);
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(waiting.await.expect("no panic"), 503);
}

#[tokio::test]
async fn a_clock_that_is_off_is_borne_within_the_skew_only() {
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
        assert_eq!(status(&server, &token).await, expected, "at its end, cached or not: {now}");
    }
}
