//! An issuer's keys when the issuer rotates them, is slow, is down, is broken or is not who it should
//! be: what is served, what is refused, and how often the issuer is asked.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use axum::Router;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use stepup_runtime::testing::{AUDIENCE, TestAlgorithm, TestClock, TestIssuer, TestToken};
use stepup_runtime::{BuildError, Issuer, StepUp, routes, step_up};
use stepup_tests::scripted::{Script, Scripted};
use stepup_tests::server::Server;

#[step_up(get = "/profile", trust = "standard")]
async fn profile() -> &'static str {
    "reached"
}

fn app(step_up: StepUp) -> Router {
    routes![profile].with_state(step_up)
}

const DISCOVERY: &str = "/.well-known/openid-configuration";
const COOLDOWN: Duration = Duration::from_millis(300);

/// An issuer whose documents are scripted, and another that signs in its name.
struct Peer {
    http: Scripted,
    signer: TestIssuer,
}

impl Peer {
    async fn start() -> Self {
        let http = Scripted::start().await;
        let signer = TestIssuer::start().await.expect("an issuer");
        let peer = Self { http, signer };
        peer.mend();
        peer
    }

    fn discovery(&self) -> Value {
        json!({"issuer": self.http.url, "jwks_uri": format!("{}/jwks", self.http.url)})
    }

    /// Serves what it should.
    fn mend(&self) {
        self.http.on(DISCOVERY, Script::json(&self.discovery()));
        self.http.on("/jwks", Script::json(&self.keys()));
    }

    fn keys(&self) -> Value {
        serde_json::from_str(&self.signer.jwks()).expect("JSON")
    }

    fn issuer(&self) -> Issuer {
        Issuer::new(&self.http.url, AUDIENCE).key_refresh_cooldown(COOLDOWN)
    }

    fn token(&self) -> TestToken {
        self.signer.token().claim("iss", self.http.url.as_str())
    }

    fn fetches(&self) -> usize {
        self.http.requests("/jwks").len()
    }
}

async fn built(issuer: Issuer) -> Result<StepUp, BuildError> {
    StepUp::builder().issuer(issuer).build().await
}

async fn serve(issuer: Issuer) -> Server {
    Server::start(app(built(issuer).await.expect("built"))).await
}

async fn status(server: &Server, token: &str) -> u16 {
    server.call("GET", "/profile", Some(token)).await.status
}

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
