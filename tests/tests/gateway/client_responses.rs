//! How refusals reach the client through the real nginx, Caddy, Traefik and Envoy, and how these proxies respond while
//! the gateway is stopped. The results must match the table in `docs/gateways.md`.

use serde_json::json;
use std::path::Path;
use stepup_runtime::testing::{AUDIENCE, TestAlgorithm, TestHolder, TestIssuer};
use stepup_tests::command::workspace;
use stepup_tests::gateways::Gateway;
use stepup_tests::proxy::{Kind, Proxy};
use stepup_tests::server::Answer;
use stepup_tests::upstream::{Upstream, send_raw};

const RESOURCE: &str = "https://api.example";

/// An issuer that is never reachable.
const UNREACHABLE: &str = "http://127.0.0.1:9";

/// A bank's gateway. The key for its DPoP nonces is written to this folder.
async fn bank(idp: &TestIssuer, folder: &Path) -> Gateway {
    let security =
        |scopes: &[String]| json!({"step-up": true, "methods": ["mfa"], "scopes": scopes});
    let scopes = |count: u8| {
        Vec::from_iter((0..count).map(|at| char::from(b'a' + at).to_string().repeat(200)))
    };
    let contract = json!([
        {"method": "POST", "path": "/pay", "security": security(&["pay".into()])},
        {"method": "POST", "path": "/middling", "security": security(&scopes(8))},
        {"method": "POST", "path": "/long", "security": security(&scopes(12))},
        {"method": "GET", "path": "/me", "security": {"step-up": false}},
    ]);
    let key = folder.join("key");
    std::fs::write(&key, [7; 32]).expect("a file");
    let settings = format!(
        "[[issuers]]\nissuer = \"{}\"\naudience = \"{AUDIENCE}\"\n\
         [[issuers]]\nissuer = \"{UNREACHABLE}\"\naudience = \"{AUDIENCE}\"\nlazy = true\n\
         [gateway]\nresource = \"{RESOURCE}\"\ndpop-nonce-key = \"{}\"\n",
        idp.url(),
        key.display()
    );
    Gateway::start(&contract.to_string(), &settings, None).await
}

fn url(proxy: &Proxy, path: &str) -> String {
    format!("http://{}{path}", proxy.address)
}

async fn post(proxy: &Proxy, path: &str, authorization: Option<&str>) -> Answer {
    let mut request = reqwest::Client::new().post(url(proxy, path));
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    Answer::of(request).await
}

#[tokio::test]
#[ignore = "needs every proxy; tests/run installs them"]
async fn every_refusal_reaches_the_client_unchanged() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = bank(&idp, folder.path()).await;
    let strong = idp.token().claim("amr", json!(["mfa"]));
    let weak = format!("Bearer {}", idp.password_token());
    let unscoped = format!("Bearer {}", strong.clone().mint());
    let good = format!("Bearer {}", strong.claim("scope", "pay").mint());
    for kind in Kind::ALL {
        let upstream = Upstream::start().await;
        let proxy = Proxy::start(kind, &gateway, upstream.address()).await;
        let url = |path: &str| format!("http://{}{path}", proxy.address);
        let client = reqwest::Client::new();
        let refusal = async |authorization: Option<&str>| {
            let mut request = client.post(url("/pay"));
            if let Some(authorization) = authorization {
                request = request.header("authorization", authorization);
            }
            let answer = Answer::of(request).await;
            let problem = answer.json()["type"].as_str().expect("a type").to_owned();
            assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{kind:?}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{kind:?}");
            let exposed = answer.header("access-control-expose-headers").unwrap_or_default();
            assert!(exposed.contains("WWW-Authenticate"), "{kind:?}");
            assert_eq!(answer.json()["status"], answer.status, "{kind:?}");
            assert_eq!(
                answer.parameter("error"),
                answer.json()["error"].as_str().map(str::to_owned)
            );
            (answer.status, problem)
        };
        let problem = |name: &str| format!("urn:stepup:problem:{name}");
        let expected = |status, name| (status, problem(name));
        assert_eq!(refusal(None).await, expected(401, "credential-required"), "{kind:?}");
        assert_eq!(refusal(Some("Bearer")).await, expected(400, "invalid-request"), "{kind:?}");
        assert_eq!(refusal(Some("Bearer x")).await, expected(401, "invalid-token"), "{kind:?}");
        let step_up = expected(401, "insufficient-user-authentication");
        assert_eq!(refusal(Some(&weak)).await, step_up, "{kind:?}");
        assert_eq!(refusal(Some(&unscoped)).await, expected(403, "insufficient-scope"), "{kind:?}");
        let other = Answer::of(client.post(url("/other")).header("authorization", &good)).await;
        assert_eq!((other.status, &other.json()["type"]), (403, &json!(problem("unlisted"))));
        assert!(upstream.take().is_empty(), "{kind:?}");

        let answer = Answer::of(client.post(url("/pay")).header("authorization", &good)).await;
        assert_eq!((answer.status, upstream.take().len()), (200, 1), "{kind:?}");
        let preflight = client
            .request(http::Method::OPTIONS, url("/pay"))
            .header("origin", "https://app.example")
            .header("access-control-request-method", "POST");
        assert_eq!(
            (Answer::of(preflight).await.status, upstream.take().len()),
            (200, 1),
            "{kind:?}"
        );
    }
}

/// The cells of a row in a Markdown table.
fn cells(row: &str) -> Vec<String> {
    row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// `yes`, followed by the exceptions.
fn yes_but(exceptions: &[String], separator: &str) -> String {
    if exceptions.is_empty() {
        "yes".into()
    } else {
        format!("yes, but {}", exceptions.join(separator))
    }
}

/// The cells of the table for one proxy, as observed.
async fn observed_column(kind: Kind) -> Vec<String> {
    let idp = TestIssuer::start().await.expect("an issuer");
    let folder = tempfile::tempdir().expect("a folder");
    let mut gateway = bank(&idp, folder.path()).await;
    let upstream = Upstream::start().await;
    let proxy = Proxy::start(kind, &gateway, upstream.address()).await;
    let strong = format!("Bearer {}", idp.mfa_token());
    let unverifiable = format!("Bearer {}", idp.token().claim("iss", UNREACHABLE).mint());
    let mut answers = vec![
        ("of 400", 400, "invalid-request", post(&proxy, "/pay", Some("Bearer")).await),
        ("of 401", 401, "credential-required", post(&proxy, "/pay", None).await),
        ("of 403", 403, "insufficient-scope", post(&proxy, "/pay", Some(&strong)).await),
    ];
    // The proxy sends its checks to the port of another mode, which cannot parse them. gRPC has only one mode.
    let other = match kind {
        Kind::Nginx => Some("forward-auth"),
        Kind::Caddy | Kind::Traefik | Kind::EnvoyHttp => Some("nginx"),
        Kind::EnvoyGrpc => None,
        Kind::Haproxy | Kind::Apache => Some("nginx"),
    };
    if let Some(mode) = other {
        let misdirected = Proxy::start_in_mode(kind, mode, &gateway, upstream.address()).await;
        answers.push(("of 500", 500, "misconfigured", post(&misdirected, "/pay", None).await));
    }
    answers.push(("of 503", 503, "unavailable", post(&proxy, "/pay", Some(&unverifiable)).await));
    let middling = post(&proxy, "/middling", Some(&strong)).await;
    assert_eq!((middling.status, &middling.json()["status"]), (403, &json!(403)), "{kind:?}");
    let long = post(&proxy, "/long", Some(&strong)).await;
    answers.push(("above 2 KiB", 403, "insufficient-scope", long));
    assert!(upstream.take().is_empty(), "{kind:?}");

    let (mut statuses, mut bodies) = (Vec::new(), Vec::new());
    for (what, status, problem, answer) in &answers {
        if answer.status != *status {
            statuses.push(format!("{} for {status}", answer.status));
        }
        let body = serde_json::from_str::<serde_json::Value>(&answer.body).unwrap_or_default();
        if body["type"] != format!("urn:stepup:problem:{problem}") {
            bodies.push(format!("not {what}"));
        }
    }
    let has = |name: &str, statuses: &[u16]| {
        let mut of = answers.iter().filter(|(_, status, ..)| statuses.contains(status));
        let all = of.all(|(.., answer)| answer.header(name).is_some());
        if all { "yes" } else { "no" }.to_owned()
    };
    let many = format!("Authorization: {strong}\r\n{}", "x: y\r\n".repeat(97));
    let preflight = "OPTIONS /pay HTTP/1.1\r\nHost: x\r\nOrigin: https://app.example\r\n\
                     Access-Control-Request-Method: POST\r\nContent-Length: 2\r\n\r\n{}";
    let mut rows = vec![
        yes_but(&statuses, ", "),
        has("www-authenticate", &[400, 401, 403]),
        nonce(kind, &proxy, &idp).await,
        has("retry-after", &[503]),
        yes_but(&bodies, ", ").replace(", not ", ", nor "),
        status(&proxy, &format!("GET /me HTTP/1.1\r\nHost: x\r\n{many}\r\n")).await,
        status(&proxy, preflight).await,
    ];
    gateway.terminate();
    assert!(gateway.wait_for_exit().await);
    let me = reqwest::Client::new().get(url(&proxy, "/me")).header("authorization", &strong);
    rows.push(Answer::of(me).await.status.to_string());
    let reached = upstream.take().into_iter().filter(|request| request.method != "OPTIONS");
    // The request with a nonce, and the one with many fields if the proxy joins fields of one name.
    let expected = 1 + usize::from(kind == Kind::Apache);
    assert_eq!(reached.count(), expected, "{kind:?}");
    rows
}

/// Sends these bytes and returns the status of the response.
async fn status(proxy: &Proxy, request: &str) -> String {
    let answer = send_raw(proxy.address, request.as_bytes()).await;
    answer.split(' ').nth(1).expect("a status").to_owned()
}

/// `yes` if the client receives the nonce for its DPoP proof. A request with that nonce must then be allowed.
async fn nonce(kind: Kind, proxy: &Proxy, idp: &TestIssuer) -> String {
    let holder = TestHolder::new(TestAlgorithm::Es256).expect("a key");
    let bound = idp.token().claim("cnf", json!({"jkt": holder.thumbprint()})).mint();
    let send = async |proof: String| {
        let request = reqwest::Client::new().get(url(proxy, "/me"));
        let request = request.header("authorization", format!("DPoP {bound}"));
        Answer::of(request.header("dpop", proof)).await
    };
    let proof = || holder.proof("GET", &format!("{RESOURCE}/me"), &bound);
    let answer = send(proof().sign()).await;
    assert_eq!(answer.parameter("error").as_deref(), Some("use_dpop_nonce"), "{kind:?}");
    let Some(nonce) = answer.header("dpop-nonce") else { return "no".into() };
    assert_eq!(send(proof().claim("nonce", nonce).sign()).await.status, 200, "{kind:?}");
    "yes".into()
}

#[tokio::test]
#[ignore = "needs every proxy; tests/run installs them"]
async fn the_documented_responses_match_the_observed_ones() {
    let page = std::fs::read_to_string(workspace().join("docs/gateways.md")).expect("the page");
    let table = page.split("## What reaches the client").nth(1).expect("the section");
    let mut rows = table.lines().filter(|line| line.starts_with('|')).map(cells);
    let kinds =
        ["", "nginx", "Caddy", "Traefik", "Envoy, HTTP", "Envoy, gRPC", "HAProxy", "Apache"];
    assert_eq!(rows.next().expect("a head"), kinds);
    let rows: Vec<Vec<String>> = rows.skip(1).collect();
    for (column, kind) in Kind::ALL.into_iter().enumerate() {
        let documented: Vec<String> = rows.iter().map(|row| row[column + 1].clone()).collect();
        assert_eq!(documented, observed_column(kind).await, "{kind:?}");
    }
}
