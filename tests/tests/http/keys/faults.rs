//! An issuer that is down, faulty or impersonated. A program does not start without the issuer's keys; once it has
//! them, it continues to use them during a fault.

use super::{app, built, serve, status};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use stepup_runtime::testing::{AUDIENCE, TestAlgorithm, TestClock, TestIssuer};
use stepup_runtime::{Issuer, StepUp};
use stepup_tests::fake_issuer::{Hold, Response};
use stepup_tests::paused_time::{PausedTime, eventually};
use stepup_tests::rotating_issuer::{DISCOVERY, RotatingIssuer};
use stepup_tests::server::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const FAULTS: usize = 17;

/// Faults of an issuer when it serves its discovery document or its key set.
fn faults(good: &Value) -> Vec<(&'static str, Response)> {
    let bytes = good.to_string().into_bytes();
    let mut broken = bytes.clone();
    broken.truncate(bytes.len() - 1);
    // The invalid byte is in a member that the parser ignores.
    let inside = String::from_utf8_lossy(&bytes[1..]).into_owned();
    let not_utf8 = [b"{\"x\":\"\xff\",", inside.as_bytes()].concat();
    let html = ("content-type", "text/html".to_owned());
    let faults = vec![
        ("hangs", Response::Hang),
        ("closes the connection", Response::Close),
        (
            "drips for longer than the timeout",
            Response::Drip(bytes.clone(), Duration::from_millis(200)),
        ),
        ("500", Response::status(500)),
        ("401", Response::status(401)),
        ("204", Response::Answer(204, Vec::new(), Vec::new())),
        ("304 to an unconditional request", Response::Answer(304, Vec::new(), Vec::new())),
        ("a truncated body", Response::HalfBody(bytes.clone())),
        ("an HTML page", Response::Answer(200, vec![html], b"<html>down</html>".to_vec())),
        ("broken JSON", Response::Answer(200, Vec::new(), broken)),
        ("invalid UTF-8", Response::Answer(200, Vec::new(), not_utf8)),
        ("50 MB of spaces before the document", Response::Padded(50 << 20, bytes.clone())),
        ("an empty body", Response::Answer(200, Vec::new(), Vec::new())),
        ("an array", Response::json(&json!([]))),
        ("deep nesting", Response::Answer(200, Vec::new(), b"[".repeat(200_000))),
        ("a redirect to another host over http", Response::redirect("http://idp.example/keys")),
        ("a redirect to another path", Response::redirect("/other")),
    ];
    assert_eq!(faults.len(), FAULTS);
    faults
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_does_not_start_if_the_issuer_is_faulty() {
    let mut checks = tokio::task::JoinSet::new();
    for path in [DISCOVERY, "/jwks"] {
        for number in 0..FAULTS {
            checks.spawn(async move {
                let fake = RotatingIssuer::start().await;
                let good = if path == "/jwks" { fake.keys() } else { fake.discovery() };
                let (what, script) = faults(&good).swap_remove(number);
                fake.http.on("/other", Response::json(&good));
                fake.http.on(path, script);
                let began = Instant::now();
                let error = built(fake.issuer()).await.err();
                let error = error.unwrap_or_else(|| panic!("{path} {what}: the program started"));
                let error = format!("{error:?}");
                assert!(error.contains(&fake.http.url), "{path} {what}: {error}");
                assert!(error.contains("keys could not be loaded"), "{path} {what}: {error}");
                assert!(began.elapsed() < Duration::from_secs(12), "{path} {what}");
            });
        }
    }
    checks.join_all().await;
}

#[tokio::test]
async fn during_a_fault_known_keys_still_work_and_unknown_keys_are_503_after_one_fetch() {
    let (time, cooldown) = (PausedTime::start(), Duration::from_secs(60));
    for (path, number) in
        [DISCOVERY, "/jwks"].into_iter().flat_map(|p| (0..FAULTS).map(move |n| (p, n)))
    {
        let fake = RotatingIssuer::start().await;
        let good = if path == "/jwks" { fake.keys() } else { fake.discovery() };
        let (what, script) = faults(&good).swap_remove(number);
        let what = format!("{path} {what}");
        let times_out = matches!(script, Response::Hang | Response::Drip(..));
        let server = Arc::new(serve(fake.issuer().key_refresh_cooldown(cooldown)).await);
        let before = fake.token().mint();
        fake.signer.rotate("new", TestAlgorithm::Es256).expect("a new key");
        fake.http.on(path, script);
        let (after, fetched) = (fake.token().mint(), fake.http.requests(path).len());
        let call = tokio::spawn({
            let (server, after) = (Arc::clone(&server), after.clone());
            async move { server.call("GET", "/profile", Some(&after)).await }
        });
        eventually(async || {
            if times_out {
                time.advance(Duration::from_millis(500)).await;
            }
            call.is_finished()
        })
        .await;
        let answer = call.await.expect("no panic");
        assert_eq!(answer.status, 503, "{what}: {answer:?}");
        assert!(answer.header("retry-after").is_some(), "{what}");
        assert_eq!(status(&server, &before).await, 200, "{what}");
        assert_eq!(status(&server, &after).await, 503, "{what}");
        assert_eq!(fake.http.requests(path).len() - fetched, 1, "{what}: within the cooldown");

        fake.publish();
        time.advance(cooldown).await;
        assert_eq!(status(&server, &after).await, 200, "{what}");
        assert_eq!(status(&server, &before).await, 401, "{what}: its key was removed");
    }
}

#[tokio::test]
async fn a_discovery_document_that_later_names_another_issuer_is_ignored() {
    let fake = RotatingIssuer::start().await;
    let server = serve(fake.issuer()).await;
    let before = fake.token().mint();
    let evil = TestIssuer::start().await.expect("an issuer");
    let document = json!({"issuer": evil.url(), "jwks_uri": format!("{}/jwks", evil.url())});
    fake.http.on(DISCOVERY, Response::json(&document));
    let forged = evil.token().claim("iss", fake.http.url.as_str()).header("kid", "evil").mint();
    assert_eq!(status(&server, &forged).await, 503);
    assert_eq!(status(&server, &before).await, 200);
    assert_eq!(evil.key_requests(), 0);
}

#[tokio::test]
async fn keys_beyond_the_limit_are_ignored() {
    let fake = RotatingIssuer::start().await;
    let key = |kid: String| {
        let mut key = fake.keys()["keys"][0].clone();
        key["kid"] = kid.into();
        key
    };
    let keys: Vec<Value> = (0..150).map(|n| key(format!("k{n}"))).collect();
    fake.http.on("/jwks", Response::json(&json!({"keys": keys})));
    let server = serve(fake.issuer()).await;
    for (kid, expected) in [("k0", 200), ("k99", 200), ("k100", 401), ("k149", 401)] {
        assert_eq!(
            status(&server, &fake.token().header("kid", kid).mint()).await,
            expected,
            "{kid}"
        );
    }
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_or_without_a_jwks_uri_is_refused() {
    let fake = RotatingIssuer::start().await;
    for (document, expected) in [
        (json!({"issuer": "https://evil.example", "jwks_uri": "https://evil.example/j"}), "exact"),
        (json!({"issuer": format!("{}/", fake.http.url), "jwks_uri": "https://a/j"}), "exact"),
        (json!({"jwks_uri": format!("{}/jwks", fake.http.url)}), "has no `issuer`"),
        (json!({"issuer": fake.http.url}), "has no `jwks_uri`"),
        (json!({"issuer": fake.http.url, "jwks_uri": "http://idp.example/jwks"}), "not https"),
        (json!({"issuer": fake.http.url, "jwks_uri": "file:///etc/passwd"}), "not a URL"),
    ] {
        fake.http.on(DISCOVERY, Response::json(&document));
        let error = built(fake.issuer()).await.expect_err("must not build");
        let error = format!("{error:?}");
        assert!(error.contains(expected), "{document}: {error}");
    }
    let error = built(Issuer::new("http://idp.example", AUDIENCE)).await.expect_err("plain http");
    assert!(format!("{error:?}").contains("only loopback"), "{error:?}");
}

#[tokio::test]
async fn the_rfc_8414_document_is_used_if_the_openid_configuration_is_missing() {
    let fake = RotatingIssuer::start().await;
    let issuer = format!("{}/tenant", fake.http.url);
    fake.http.on(
        "/.well-known/oauth-authorization-server/tenant",
        Response::json(&json!({"issuer": issuer, "jwks_uri": format!("{}/jwks", fake.http.url)})),
    );
    let server = serve(Issuer::new(&issuer, AUDIENCE)).await;
    assert_eq!(status(&server, &fake.token().claim("iss", issuer).mint()).await, 200);
}

#[tokio::test]
async fn the_rfc_8414_document_is_used_after_any_response_without_a_usable_document() {
    for first in [
        Response::status(400),
        Response::status(403),
        Response::status(500),
        Response::redirect("https://login.example/"),
        Response::json(&json!([])),
        Response::json(&json!({"error": "not_found"})),
        Response::Answer(200, Vec::new(), b"<html>".to_vec()),
    ] {
        let fake = RotatingIssuer::start().await;
        let shown = format!("{first:?}");
        fake.http.on("/.well-known/openid-configuration", first);
        let issuer = &fake.http.url;
        let document = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/jwks")});
        fake.http.on("/.well-known/oauth-authorization-server", Response::json(&document));
        let server = serve(Issuer::new(issuer, AUDIENCE)).await;
        let token = fake.token().claim("iss", issuer.as_str()).mint();
        assert_eq!(status(&server, &token).await, 200, "{shown}");
    }
}

#[tokio::test]
async fn a_key_set_without_a_usable_key_removes_all_previous_keys() {
    let time = PausedTime::start();
    for keys in
        [json!([]), json!([{"kty": "oct", "k": "AA"}]), json!([{"kty": "EC", "crv": "P-521"}])]
    {
        let fake = RotatingIssuer::start().await;
        let interval = Duration::from_secs(10);
        let issuer = fake.issuer().key_refresh_cooldown(interval).key_refresh_interval(interval);
        let server = serve(issuer).await;
        let token = fake.token().mint();
        assert_eq!(status(&server, &token).await, 200);
        fake.http.on("/jwks", Response::json(&json!({"keys": keys})));
        time.advance(2 * interval).await;
        eventually(async || status(&server, &token).await == 503).await;
        assert_eq!(status(&server, &fake.token().claim("jti", "2").mint()).await, 503, "{keys}");
        fake.publish();
        time.advance(2 * interval).await;
        eventually(async || status(&server, &token).await == 200).await;
    }
}

#[tokio::test]
async fn a_token_that_expires_while_its_key_is_fetched_is_refused() {
    let fake = RotatingIssuer::start().await;
    let clock = TestClock::system();
    let builder = StepUp::builder().issuer(fake.issuer()).clock(clock.clone());
    let step_up = builder.build().await.expect("built");
    let server = Arc::new(Server::start(app(step_up)).await);
    fake.signer.rotate("new", TestAlgorithm::Es256).expect("a new key");
    let (hold, before) = (Hold::default(), fake.fetches());
    fake.http.on("/jwks", Response::Held(hold.clone(), Box::new(Response::json(&fake.keys()))));
    let token = fake.token().mint();
    let waiting = tokio::spawn({
        let server = Arc::clone(&server);
        async move { status(&server, &token).await }
    });
    fake.http.wait_for_requests("/jwks", before).await;
    clock.advance(3700);
    hold.release();
    assert_eq!(waiting.await.expect("no panic"), 401);
}

#[tokio::test]
async fn an_etag_is_not_sent_to_another_jwks_uri() {
    let fake = RotatingIssuer::start().await;
    let tagged = |keys: &Value| {
        let headers = vec![("etag", "\"1\"".to_owned()), ("cache-control", "max-age=0".to_owned())];
        Response::Answer(200, headers, keys.to_string().into_bytes())
    };
    fake.http.on("/jwks", tagged(&fake.keys()));
    let (time, cooldown) = (PausedTime::start(), Duration::from_secs(10));
    let server = serve(fake.issuer().key_refresh_cooldown(cooldown)).await;
    let token = fake.token().mint();
    assert_eq!(status(&server, &token).await, 200);
    fake.signer.rotate("new", TestAlgorithm::Es256).expect("a new key");
    let mut discovery = fake.discovery();
    discovery["jwks_uri"] = format!("{}/elsewhere", fake.http.url).into();
    fake.http.on(DISCOVERY, Response::json(&discovery));
    fake.http.on("/elsewhere", tagged(&fake.keys()));
    time.advance(2 * cooldown).await;
    eventually(async || !fake.http.requests("/elsewhere").is_empty()).await;
    let first = &fake.http.requests("/elsewhere")[0];
    assert_eq!(first.headers.get("if-none-match"), None);
    eventually(async || status(&server, &token).await == 401).await;
}

#[test]
fn keys_are_refreshed_after_the_runtime_that_built_the_handle_is_dropped() {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let outer = runtime().expect("a runtime");
    let fake = outer.block_on(RotatingIssuer::start());
    let building = runtime().expect("a runtime");
    let issuer = fake.issuer().key_refresh_cooldown(Duration::from_millis(100));
    let issuer = issuer.key_refresh_interval(Duration::from_millis(100));
    let step_up = building.block_on(built(issuer)).expect("built");
    drop(building);
    outer.block_on(async {
        let server = Server::start(app(step_up)).await;
        let token = fake.token().mint();
        assert_eq!(status(&server, &token).await, 200);
        fake.signer.rotate("new", TestAlgorithm::Es256).expect("a new key");
        fake.publish();
        tokio::time::sleep(Duration::from_millis(500)).await;
        // A request with a known token notices that the refresh task is gone, and starts a new one, which notices the
        // removal.
        assert_eq!(status(&server, &token).await, 200);
        eventually(async || status(&server, &token).await == 401).await;
    });
}

#[test]
fn extreme_settings_do_not_panic() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let fake = RotatingIssuer::start().await;
        let forever = Duration::MAX;
        let issuer = fake.issuer().key_refresh_cooldown(forever).key_refresh_interval(forever);
        let server = serve(issuer.max_stale(forever)).await;
        assert_eq!(status(&server, &fake.token().header("kid", "x").mint()).await, 401);
        assert_eq!(status(&server, &fake.token().mint()).await, 200);
        let issuer = fake.issuer().key_refresh_cooldown(Duration::ZERO);
        let issuer = issuer.key_refresh_interval(Duration::ZERO).max_stale(Duration::ZERO);
        assert_eq!(status(&serve(issuer).await, &fake.token().mint()).await, 503);
        let wrong = fake.issuer().adjust(|profile| profile.acr_order(["silver", "gold", "silver"]));
        let error = built(wrong).await.expect_err("a duplicate level").to_string();
        assert!(error.contains("silver"), "{error}");
    });
}

/// An issuer whose certificate is signed by a private authority. Returns its address and the authority, in PEM.
async fn private_issuer(idp: &TestIssuer) -> (String, String) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let key =
        tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let config = tokio_rustls::rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .expect("a certificate and its key");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    let discovery = json!({"issuer": url, "jwks_uri": format!("{url}/jwks")}).to_string();
    let keys = idp.jwks();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust the certificate ends the handshake.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap_or_default();
            let body = if request[..length].starts_with(b"GET /jwks") { &keys } else { &discovery };
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (url, cert.pem())
}

#[tokio::test]
async fn an_issuer_with_a_certificate_of_a_private_authority_needs_that_authority() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let (url, authority) = private_issuer(&idp).await;
    let error = built(Issuer::new(&url, AUDIENCE)).await.expect_err("an unknown authority");
    assert!(format!("{error:?}").to_lowercase().contains("certificate"), "{error:?}");
    let server = serve(Issuer::new(&url, AUDIENCE).ca_certificates(authority)).await;
    assert_eq!(status(&server, &idp.token().claim("iss", url).mint()).await, 200);
    let error = built(
        Issuer::new("https://127.0.0.1:1", AUDIENCE).ca_certificates("-----BEGIN CERTIFICATE-----"),
    );
    assert!(error.await.is_err(), "an unreadable certificate");
}
