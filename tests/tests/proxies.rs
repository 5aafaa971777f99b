//! The real nginx, Envoy and Caddy, configured by `stepup render`: whom the upstream is told to serve, what of a
//! refusal reaches the client, and what happens without the gateway.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use serde_json::json;
use stepup_runtime::testing::{AUDIENCE, TestAlgorithm, TestHolder, TestIssuer};
use stepup_tests::command::{run, stepup, workspace};
use stepup_tests::gateways::{Gateway, Kind, Proxy, Upstream, raw};
use stepup_tests::server::Answer;

const RESOURCE: &str = "https://api.example";

async fn bank(idp: &TestIssuer) -> Gateway {
    let mfa = json!({"step-up": true, "methods": ["mfa"], "max-age": 300, "scopes": ["pay"]});
    let contract = json!([
        {"method": "POST", "path": "/pay", "security": mfa},
        {"method": "GET", "path": "/me", "security": {"step-up": false}},
    ]);
    let settings = format!(
        "[[issuers]]\nissuer = \"{}\"\naudience = \"{AUDIENCE}\"\n\n[gateway]\nresource = \"{RESOURCE}\"\n",
        idp.url()
    );
    Gateway::start(&contract.to_string(), &settings, None).await
}

/// Writes a request with these header fields, and reads the answer's status and all of it.
async fn call(proxy: &Proxy, line: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut request = format!("{line} HTTP/1.1\r\nHost: api\r\nContent-Length: 0\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    let answer = raw(proxy.address, request.as_bytes()).await;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{line}: {answer:?}")), answer)
}

#[tokio::test]
#[ignore = "needs nginx, Envoy and Caddy; tests/run installs them"]
async fn a_client_cannot_say_who_it_is() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let bearer = format!("Bearer {}", idp.token().without("client_id").mint());
    let spoofed = [
        ("X-Step-Up-Subject", "mallory"),
        ("x-step-up-subject", "mallory"),
        ("X-Step-Up-Client", "mallory"),
        ("X-Step-Up-Amr", "mallory"),
        ("X-Step-Up-Auth-Time", "mallory"),
        ("X_Step_Up_Subject", "mallory"),
        ("X-Step_Up-Amr", "mallory"),
        ("X-Step-Up_Acr", "mallory"),
        ("X-Step-Up-Auth_Time", "mallory"),
    ];
    for kind in Kind::ALL {
        let upstream = Upstream::start().await;
        let proxy = Proxy::start(kind, &gateway, upstream.address()).await;
        for connection in ["keep-alive", "keep-alive, x-step-up-subject"] {
            let mut headers = vec![("Authorization", &*bearer), ("Connection", connection)];
            headers.extend(spoofed);
            let (status, _) = call(&proxy, "GET /me", &headers).await;
            let reached = upstream.take();
            if connection == "keep-alive" {
                assert_eq!((status, reached.len()), (200, 1), "{kind:?}");
                let subject: Vec<_> =
                    reached[0].headers.get_all("x-step-up-subject").iter().collect();
                assert_eq!(subject, ["alice"], "{kind:?}");
            }
            for request in reached {
                for (name, value) in &request.headers {
                    assert_ne!(value, "mallory", "{kind:?}: {name} has come through");
                }
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs nginx, Envoy and Caddy; tests/run installs them"]
async fn every_refusal_reaches_the_client_as_it_is() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let strong = idp.token().claim("amr", json!(["mfa"]));
    let weak = format!("Bearer {}", idp.password_token());
    let unscoped = format!("Bearer {}", strong.clone().mint());
    let good = format!("Bearer {}", strong.claim("scope", "pay").mint());
    for kind in Kind::ALL {
        let upstream = Upstream::start().await;
        let proxy = Proxy::start(kind, &gateway, upstream.address()).await;
        let url = |path: &str| format!("http://{}{path}", proxy.address);
        let client = reqwest::Client::new();
        let ask = async |authorization: Option<&str>| {
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
        assert_eq!(ask(None).await, expected(401, "credential-required"), "{kind:?}");
        assert_eq!(ask(Some("Bearer")).await, expected(400, "invalid-request"), "{kind:?}");
        assert_eq!(ask(Some("Bearer x")).await, expected(401, "invalid-token"), "{kind:?}");
        let step_up = expected(401, "insufficient-user-authentication");
        assert_eq!(ask(Some(&weak)).await, step_up, "{kind:?}");
        assert_eq!(ask(Some(&unscoped)).await, expected(403, "insufficient-scope"), "{kind:?}");
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

#[tokio::test]
#[ignore = "needs nginx, Envoy and Caddy; tests/run installs them"]
async fn a_bound_token_comes_through_with_its_proof() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let holder = TestHolder::new(TestAlgorithm::Es256).expect("a key");
    let token = idp
        .token()
        .claim("amr", json!(["mfa"]))
        .claim("scope", "pay")
        .claim("cnf", json!({"jkt": holder.thumbprint()}))
        .mint();
    let dpop = format!("DPoP {token}");
    for kind in Kind::ALL {
        let upstream = Upstream::start().await;
        let proxy = Proxy::start(kind, &gateway, upstream.address()).await;
        let proof = holder.proof("POST", &format!("{RESOURCE}/pay"), &token).sign();
        let headers = [("Authorization", &*dpop), ("DPoP", &*proof)];
        assert_eq!(call(&proxy, "POST /pay?x=1", &headers).await.0, 200, "{kind:?}");
        let (status, again) = call(&proxy, "POST /pay?x=1", &headers).await;
        assert!(status == 401 && again.contains("invalid_dpop_proof"), "{kind:?}: {again}");
        let bearer = format!("Bearer {token}");
        let (status, _) = call(&proxy, "POST /pay", &[("Authorization", &bearer)]).await;
        assert_eq!((status, upstream.take().len()), (401, 1), "{kind:?}");
    }
}

#[tokio::test]
#[ignore = "needs nginx, Envoy and Caddy; tests/run installs them"]
async fn nothing_is_let_through_without_the_gateway() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let mut gateway = bank(&idp).await;
    let good = format!("Bearer {}", idp.token().mint());
    let mut proxies = Vec::new();
    for kind in Kind::ALL {
        let upstream = Upstream::start().await;
        let proxy = Proxy::start(kind, &gateway, upstream.address()).await;
        assert_eq!(call(&proxy, "GET /me", &[("Authorization", &good)]).await.0, 200, "{kind:?}");
        assert_eq!(upstream.take().len(), 1);
        proxies.push((kind, proxy, upstream));
    }
    gateway.terminate();
    assert!(gateway.ended().await);
    for (kind, proxy, upstream) in proxies {
        let (status, _) = call(&proxy, "GET /me", &[("Authorization", &good)]).await;
        let documented = match kind {
            Kind::Nginx => 500,
            Kind::Caddy => 502,
            Kind::EnvoyHttp | Kind::EnvoyGrpc => 503,
        };
        assert_eq!(status, documented, "{kind:?}");
        assert!(upstream.take().is_empty(), "{kind:?}");
    }
}

#[tokio::test]
#[ignore = "needs nginx, Envoy and Caddy; tests/run installs them"]
async fn a_client_is_told_when_to_come_again_and_with_which_nonce() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    std::fs::write(&key, [7; 32]).expect("a file");
    let away = "http://127.0.0.1:9";
    let settings = format!(
        "[[issuers]]\nissuer = \"{}\"\naudience = \"{AUDIENCE}\"\n\
         [[issuers]]\nissuer = \"{away}\"\naudience = \"{AUDIENCE}\"\nlazy = true\n\
         [gateway]\nresource = \"{RESOURCE}\"\ndpop-nonce-key = \"{}\"\n",
        idp.url(),
        key.display()
    );
    let contract = json!({"path": "/me", "security": {"step-up": false}}).to_string();
    let gateway = Gateway::start(&contract, &settings, None).await;
    let holder = TestHolder::new(TestAlgorithm::Es256).expect("a key");
    let bound = idp.token().claim("cnf", json!({"jkt": holder.thumbprint()})).mint();
    let unheard = format!("Bearer {}", idp.token().claim("iss", away).mint());
    for kind in Kind::ALL {
        let upstream = Upstream::start().await;
        let proxy = Proxy::start(kind, &gateway, upstream.address()).await;
        let get = || reqwest::Client::new().get(format!("http://{}/me", proxy.address));
        let answer = Answer::of(get().header("authorization", &unheard)).await;
        assert_eq!(answer.status, 503, "{kind:?}");
        if kind == Kind::EnvoyHttp {
            // It takes every answer of 500 and more for a failure of the authorizer, and says so itself.
            assert_eq!((answer.header("retry-after"), &*answer.body), (None, ""));
        } else {
            assert!(answer.header("retry-after").is_some(), "{kind:?}: {answer:?}");
            assert_eq!(answer.json()["type"], "urn:stepup:problem:unavailable", "{kind:?}");
        }

        let shown = async |proof: String| {
            let request = get().header("authorization", format!("DPoP {bound}"));
            Answer::of(request.header("dpop", proof)).await
        };
        let proof = || holder.proof("GET", &format!("{RESOURCE}/me"), &bound);
        let answer = shown(proof().sign()).await;
        assert_eq!(answer.parameter("error").as_deref(), Some("use_dpop_nonce"), "{kind:?}");
        let nonce = answer.header("dpop-nonce").expect("a nonce").to_owned();
        assert_eq!(shown(proof().claim("nonce", nonce).sign()).await.status, 200, "{kind:?}");
        assert_eq!(upstream.take().len(), 1, "{kind:?}");
    }
}

#[test]
fn the_documented_configurations_are_the_rendered_ones() {
    let page = std::fs::read_to_string(workspace().join("docs/gateways.md")).expect("the page");
    let contract = "docs/gateways/contract.json";
    for arguments in [
        &["render", "nginx", contract][..],
        &["render", "caddy", contract],
        &["render", "envoy", contract],
        &["render", "envoy", contract, "--over", "http"],
    ] {
        let rendered = run(stepup(), arguments);
        let rendered = String::from_utf8(rendered.stdout).expect("text");
        let whole = arguments.len() == 3;
        // Of the two for Envoy the page shows one, and of the other the filter alone.
        let shown = if whole {
            rendered.as_str()
        } else {
            let filter = rendered.split("status_on_error").nth(1).expect("the filter");
            let (_, filter) = filter.split_once('\n').expect("lines");
            filter.split("          - name:").next().expect("its end")
        };
        assert!(page.contains(shown), "docs/gateways.md does not show:\n{shown}");
    }
}
