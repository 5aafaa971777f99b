//! An issuer that is down, is broken or is not who it should be: with its keys nothing is served, and with those
//! that are known all goes on.

use crate::{app, built, serve, status};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use stepup_runtime::testing::{AUDIENCE, TestAlgorithm, TestClock, TestIssuer};
use stepup_runtime::{Issuer, StepUp};
use stepup_tests::rotating::{DISCOVERY, Peer};
use stepup_tests::scripted::Script;
use stepup_tests::server::Server;

const FAULTS: usize = 17;

/// What an issuer may do instead of answering as it should, at either document.
fn faults(good: &Value) -> Vec<(&'static str, Script)> {
    let bytes = good.to_string().into_bytes();
    let mut broken = bytes.clone();
    broken.truncate(bytes.len() - 1);
    // In a member that nobody looks at.
    let inside = String::from_utf8_lossy(&bytes[1..]).into_owned();
    let not_utf8 = [b"{\"x\":\"\xff\",", inside.as_bytes()].concat();
    let html = ("content-type", "text/html".to_owned());
    let faults = vec![
        ("hangs", Script::Hang),
        ("closes", Script::Close),
        (
            "drips for longer than is waited",
            Script::Drip(bytes.clone(), Duration::from_millis(200)),
        ),
        ("500", Script::status(500)),
        ("401", Script::status(401)),
        ("204", Script::Answer(204, Vec::new(), Vec::new())),
        ("304 though no tag was sent", Script::Answer(304, Vec::new(), Vec::new())),
        ("half a body", Script::HalfBody(bytes.clone())),
        ("a page", Script::Answer(200, vec![html], b"<html>down</html>".to_vec())),
        ("broken JSON", Script::Answer(200, Vec::new(), broken)),
        ("invalid UTF-8", Script::Answer(200, Vec::new(), not_utf8)),
        ("50 MB of spaces before it", Script::Padded(50 << 20, bytes.clone())),
        ("nothing", Script::Answer(200, Vec::new(), Vec::new())),
        ("a list", Script::json(&json!([]))),
        ("deep nesting", Script::Answer(200, Vec::new(), b"[".repeat(200_000))),
        ("a redirect to http elsewhere", Script::redirect("http://idp.example/keys")),
        ("a redirect to itself elsewhere", Script::redirect("/other")),
    ];
    assert_eq!(faults.len(), FAULTS);
    faults
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_of_the_issuer_lets_a_program_start_with_wrong_keys() {
    let mut checks = tokio::task::JoinSet::new();
    for path in [DISCOVERY, "/jwks"] {
        for number in 0..FAULTS {
            checks.spawn(async move {
                let peer = Peer::start().await;
                let good = if path == "/jwks" { peer.keys() } else { peer.discovery() };
                let (what, script) = faults(&good).swap_remove(number);
                peer.http.on("/other", Script::json(&good));
                peer.http.on(path, script);
                let began = Instant::now();
                let error = built(peer.issuer()).await.err();
                let error = error.unwrap_or_else(|| panic!("{path} {what}: it has started"));
                let error = error.to_string();
                assert!(error.contains(&peer.http.url), "{path} {what}: {error}");
                assert!(error.contains("keys could not be had"), "{path} {what}: {error}");
                assert!(began.elapsed() < Duration::from_secs(12), "{path} {what}");
            });
        }
    }
    checks.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn during_a_fault_the_old_keys_serve_new_ones_are_503_and_the_issuer_is_asked_once() {
    let mut checks = tokio::task::JoinSet::new();
    for (path, number) in
        [DISCOVERY, "/jwks"].into_iter().flat_map(|p| (0..FAULTS).map(move |n| (p, n)))
    {
        checks.spawn(async move {
            let peer = Peer::start().await;
            let good = if path == "/jwks" { peer.keys() } else { peer.discovery() };
            let (what, script) = faults(&good).swap_remove(number);
            let what = format!("{path} {what}");
            let cooldown = Duration::from_secs(2);
            let server = serve(peer.issuer().key_refresh_cooldown(cooldown)).await;
            let before = peer.token().mint();
            peer.signer.rotate("new", TestAlgorithm::Es256).expect("a new key");
            peer.http.on(path, script);
            let (after, asked) = (peer.token().mint(), peer.http.requests(path).len());
            let began = Instant::now();
            let answer = server.call("GET", "/profile", Some(&after)).await;
            assert_eq!(answer.status, 503, "{what}: {answer:?}");
            assert!(answer.header("retry-after").is_some(), "{what}");
            assert_eq!(status(&server, &before).await, 200, "{what}");
            let again = status(&server, &after).await;
            let times = peer.http.requests(path).len() - asked;
            // On a machine with much to do the cooldown may be over.
            if began.elapsed() < cooldown {
                assert_eq!((again, times), (503, 1), "{what}");
            }

            peer.mend();
            tokio::time::sleep(cooldown).await;
            assert_eq!(status(&server, &after).await, 200, "{what}");
            assert_eq!(status(&server, &before).await, 401, "{what}: its key was withdrawn");
        });
    }
    checks.join_all().await;
}

#[tokio::test]
async fn a_document_that_names_another_issuer_later_changes_nothing() {
    let peer = Peer::start().await;
    let server = serve(peer.issuer()).await;
    let before = peer.token().mint();
    let evil = TestIssuer::start().await.expect("an issuer");
    let document = json!({"issuer": evil.url(), "jwks_uri": format!("{}/jwks", evil.url())});
    peer.http.on(DISCOVERY, Script::json(&document));
    let forged = evil.token().claim("iss", peer.http.url.as_str()).header("kid", "evil").mint();
    assert_eq!(status(&server, &forged).await, 503);
    assert_eq!(status(&server, &before).await, 200);
    assert_eq!(evil.key_requests(), 0);
}

#[tokio::test]
async fn no_more_keys_are_used_than_the_limit() {
    let peer = Peer::start().await;
    let key = |kid: String| {
        let mut key = peer.keys()["keys"][0].clone();
        key["kid"] = kid.into();
        key
    };
    let keys: Vec<Value> = (0..150).map(|n| key(format!("k{n}"))).collect();
    peer.http.on("/jwks", Script::json(&json!({"keys": keys})));
    let server = serve(peer.issuer()).await;
    for (kid, expected) in [("k0", 200), ("k99", 200), ("k100", 401), ("k149", 401)] {
        assert_eq!(
            status(&server, &peer.token().header("kid", kid).mint()).await,
            expected,
            "{kid}"
        );
    }
}

#[tokio::test]
async fn a_document_of_another_issuer_or_without_keys_address_is_refused() {
    let peer = Peer::start().await;
    for (document, says) in [
        (json!({"issuer": "https://evil.example", "jwks_uri": "https://evil.example/j"}), "exact"),
        (json!({"issuer": format!("{}/", peer.http.url), "jwks_uri": "https://a/j"}), "exact"),
        (json!({"jwks_uri": format!("{}/jwks", peer.http.url)}), "names no `issuer`"),
        (json!({"issuer": peer.http.url}), "names no `jwks_uri`"),
        (json!({"issuer": peer.http.url, "jwks_uri": "http://idp.example/jwks"}), "not https"),
        (json!({"issuer": peer.http.url, "jwks_uri": "file:///etc/passwd"}), "not a URL"),
    ] {
        peer.http.on(DISCOVERY, Script::json(&document));
        let error = built(peer.issuer()).await.expect_err("it must not start").to_string();
        assert!(error.contains(says), "{document}: {error}");
    }
    let error = built(Issuer::new("http://idp.example", AUDIENCE)).await.expect_err("plain http");
    assert!(error.to_string().contains("only loopback"), "{error}");
}

#[tokio::test]
async fn the_document_of_rfc_8414_serves_where_the_other_is_missing() {
    let peer = Peer::start().await;
    let issuer = format!("{}/tenant", peer.http.url);
    peer.http.on(
        "/.well-known/oauth-authorization-server/tenant",
        Script::json(&json!({"issuer": issuer, "jwks_uri": format!("{}/jwks", peer.http.url)})),
    );
    let server = serve(Issuer::new(&issuer, AUDIENCE)).await;
    assert_eq!(status(&server, &peer.token().claim("iss", issuer).mint()).await, 200);
}

#[tokio::test]
async fn a_set_without_a_usable_key_withdraws_all_that_were_there() {
    for keys in
        [json!([]), json!([{"kty": "oct", "k": "AA"}]), json!([{"kty": "EC", "crv": "P-521"}])]
    {
        let peer = Peer::start().await;
        let issuer = peer.issuer().key_refresh_cooldown(Duration::from_millis(100));
        let server = serve(issuer.key_refresh_interval(Duration::from_millis(100))).await;
        let token = peer.token().mint();
        assert_eq!(status(&server, &token).await, 200);
        peer.http.on("/jwks", Script::json(&json!({"keys": keys})));
        tokio::time::sleep(Duration::from_millis(350)).await;
        assert_eq!(status(&server, &token).await, 503, "{keys}: cached");
        assert_eq!(status(&server, &peer.token().claim("jti", "2").mint()).await, 503, "{keys}");
        peer.mend();
        tokio::time::sleep(Duration::from_millis(350)).await;
        assert_eq!(status(&server, &token).await, 200, "{keys}");
    }
}

#[tokio::test]
async fn a_token_that_ends_while_its_key_is_fetched_has_ended() {
    let peer = Peer::start().await;
    let clock = TestClock::system();
    let builder = StepUp::builder().issuer(peer.issuer()).clock(clock.clone());
    let step_up = builder.build().await.expect("built");
    let server = Arc::new(Server::start(app(step_up)).await);
    peer.signer.rotate("new", TestAlgorithm::Es256).expect("a new key");
    let slow = Script::After(Duration::from_millis(500), Box::new(Script::json(&peer.keys())));
    peer.http.on("/jwks", slow);
    let token = peer.token().mint();
    let waiting = tokio::spawn({
        let server = Arc::clone(&server);
        async move { status(&server, &token).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    clock.advance(3700);
    assert_eq!(waiting.await.expect("no panic"), 401);
}

#[tokio::test]
async fn a_tag_of_another_address_confirms_nothing() {
    let peer = Peer::start().await;
    let tagged = |keys: &Value| {
        let headers = vec![("etag", "\"1\"".to_owned()), ("cache-control", "max-age=0".to_owned())];
        Script::Answer(200, headers, keys.to_string().into_bytes())
    };
    peer.http.on("/jwks", tagged(&peer.keys()));
    let server = serve(peer.issuer().key_refresh_cooldown(Duration::from_millis(100))).await;
    let token = peer.token().mint();
    assert_eq!(status(&server, &token).await, 200);
    peer.signer.rotate("new", TestAlgorithm::Es256).expect("a new key");
    let mut discovery = peer.discovery();
    discovery["jwks_uri"] = format!("{}/elsewhere", peer.http.url).into();
    peer.http.on(DISCOVERY, Script::json(&discovery));
    peer.http.on("/elsewhere", tagged(&peer.keys()));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let first = &peer.http.requests("/elsewhere")[0];
    assert_eq!(first.headers.get("if-none-match"), None);
    assert_eq!(status(&server, &token).await, 401);
}

#[test]
fn keys_are_renewed_although_the_runtime_that_built_the_handle_is_gone() {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let outer = runtime().expect("a runtime");
    let peer = outer.block_on(Peer::start());
    let building = runtime().expect("a runtime");
    let issuer = peer.issuer().key_refresh_cooldown(Duration::from_millis(100));
    let issuer = issuer.key_refresh_interval(Duration::from_millis(100));
    let step_up = building.block_on(built(issuer)).expect("built");
    drop(building);
    outer.block_on(async {
        let server = Server::start(app(step_up)).await;
        let token = peer.token().mint();
        assert_eq!(status(&server, &token).await, 200);
        peer.signer.rotate("new", TestAlgorithm::Es256).expect("a new key");
        peer.mend();
        tokio::time::sleep(Duration::from_millis(500)).await;
        // A request with a known token notices that nobody renews, and lets it be done.
        assert_eq!(status(&server, &token).await, 200);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(status(&server, &token).await, 401, "the withdrawal was noticed");
    });
}

#[test]
fn odd_settings_are_no_panic() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let peer = Peer::start().await;
        let forever = Duration::MAX;
        let issuer = peer.issuer().key_refresh_cooldown(forever).key_refresh_interval(forever);
        let server = serve(issuer.max_stale(forever)).await;
        assert_eq!(status(&server, &peer.token().header("kid", "x").mint()).await, 401);
        assert_eq!(status(&server, &peer.token().mint()).await, 200);
        let issuer = peer.issuer().key_refresh_cooldown(Duration::ZERO);
        let issuer = issuer.key_refresh_interval(Duration::ZERO).max_stale(Duration::ZERO);
        assert_eq!(status(&serve(issuer).await, &peer.token().mint()).await, 503);
        let twice = peer.issuer().adjust(|profile| profile.acr_order(["silver", "gold", "silver"]));
        let error = built(twice).await.expect_err("an order has no repetition").to_string();
        assert!(error.contains("silver"), "{error}");
    });
}
