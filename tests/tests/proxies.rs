//! The real nginx, Envoy and Caddy, configured by `stepup render`: whom the upstream is told to serve, what of a
//! refusal reaches the client, and what happens without the gateway.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use serde_json::json;
use stepup_runtime::testing::{AUDIENCE, TestAlgorithm, TestHolder, TestIssuer};
use stepup_tests::command::{run, stepup, workspace};
use stepup_tests::gateways::{Gateway, Kind, Proxy};
use stepup_tests::server::Answer;
use stepup_tests::upstream::{Upstream, raw};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const RESOURCE: &str = "https://api.example";

async fn bank(idp: &TestIssuer) -> Gateway {
    bank_with(idp, "").await
}

/// With this in the settings of the gateway, which go to what is rendered as well.
async fn bank_with(idp: &TestIssuer, more: &str) -> Gateway {
    let mfa = json!({"step-up": true, "methods": ["mfa"], "max-age": 300, "scopes": ["pay"]});
    let contract = json!([
        {"method": "POST", "path": "/pay", "security": mfa},
        {"method": "GET", "path": "/me", "security": {"step-up": false}},
    ]);
    let settings = format!(
        "[[issuers]]\nissuer = \"{}\"\naudience = \"{AUDIENCE}\"\n\n[gateway]\nresource = \"{RESOURCE}\"\n{more}",
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
    // What is not told is still not the client's to say.
    for (more, told) in [
        ("", &["alice"][..]),
        ("tell = [\"subject\"]", &["alice"]),
        ("tell = [\"client\", \"acr\"]", &[]),
        ("tell = [\"nothing\"]", &[]),
    ] {
        let gateway = bank_with(&idp, more).await;
        for kind in Kind::ALL {
            let upstream = Upstream::start().await;
            let proxy = Proxy::start(kind, &gateway, upstream.address()).await;
            for connection in ["keep-alive", "keep-alive, x-step-up-subject"] {
                let mut headers = vec![("Authorization", &*bearer), ("Connection", connection)];
                headers.extend(spoofed);
                let (status, _) = call(&proxy, "GET /me", &headers).await;
                let reached = upstream.take();
                // Nor can it have what is told taken off again.
                assert_eq!((status, reached.len()), (200, 1), "{kind:?}, {more}");
                let said = &reached[0].headers;
                let subject: Vec<_> = said.get_all("x-step-up-subject").iter().collect();
                assert_eq!(subject, told, "{kind:?}, {more}");
                for (name, value) in said {
                    assert_ne!(value, "mallory", "{kind:?}, {more}: {name} has come through");
                }
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs nginx, Envoy and Caddy; tests/run installs them"]
async fn a_service_and_the_gateway_are_found_by_name() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let bearer = format!("Bearer {}", idp.mfa_token());
    for kind in Kind::ALL {
        let upstream = Upstream::start().await;
        let proxy = Proxy::start_by_name(kind, &gateway, upstream.address()).await;
        let (status, answer) = call(&proxy, "GET /me", &[("Authorization", &bearer)]).await;
        assert_eq!((status, upstream.take().len()), (200, 1), "{kind:?}: {answer}");
        assert_eq!(call(&proxy, "GET /me", &[]).await.0, 401, "{kind:?}");
    }
}

#[tokio::test]
#[ignore = "needs nginx, Envoy and Caddy; tests/run installs them"]
async fn nobody_is_named_where_nobody_is_known() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let contract = json!({
        "contract": 1, "service": "bank", "version": "1", "unlisted": "allow", "endpoints": [
            {"method": "POST", "path": "/pay", "security": {"step-up": true, "methods": ["mfa"]}},
        ],
    });
    let settings = format!("[[issuers]]\nissuer = \"{}\"\naudience = \"{AUDIENCE}\"\n", idp.url());
    let gateway = Gateway::start(&contract.to_string(), &settings, None).await;
    let spoofed = [("X-Step-Up-Subject", "mallory"), ("X-Step-Up-Scopes", "mallory")];
    let preflight = [("Origin", "https://x"), ("Access-Control-Request-Method", "POST")];
    for kind in Kind::ALL {
        let upstream = Upstream::start().await;
        let proxy = Proxy::start(kind, &gateway, upstream.address()).await;
        for (line, headers) in [("GET /open", &[][..]), ("OPTIONS /pay", &preflight)] {
            let (status, _) = call(&proxy, line, &[headers, &spoofed].concat()).await;
            let reached = upstream.take();
            assert_eq!((status, reached.len()), (200, 1), "{kind:?}: {line}");
            let named = reached[0].headers.iter().filter(|(_, value)| *value == "mallory");
            assert_eq!(named.count(), 0, "{kind:?}: {line}: {:?}", reached[0].headers);
        }
    }
}

#[tokio::test]
#[ignore = "needs nginx, Envoy and Caddy; tests/run installs them"]
async fn headers_of_other_names_are_guarded_as_well() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let contract = json!({"path": "/me", "security": {"step-up": false}}).to_string();
    let settings = format!(
        "[[issuers]]\nissuer = \"{}\"\naudience = \"{AUDIENCE}\"\n\
         [gateway]\nidentity = [\"subject=X-Bank-User\"]\n",
        idp.url()
    );
    let gateway = Gateway::start(&contract, &settings, None).await;
    let bearer = format!("Bearer {}", idp.token().mint());
    let spoofed = [
        ("Authorization", &*bearer),
        ("X-Bank-User", "mallory"),
        ("X_Bank_User", "mallory"),
        ("X-Bank_User", "mallory"),
    ];
    for kind in Kind::ALL {
        let upstream = Upstream::start().await;
        let proxy = Proxy::start(kind, &gateway, upstream.address()).await;
        let (status, _) = call(&proxy, "GET /me", &spoofed).await;
        let reached = upstream.take();
        assert_eq!((status, reached.len()), (200, 1), "{kind:?}");
        assert_eq!(reached[0].headers["x-bank-user"], "alice", "{kind:?}");
        assert!(!reached[0].headers.values().any(|value| value == "mallory"), "{kind:?}");
    }
}

/// An upstream that goes over to whatever protocol it is asked for, and tells whether it was.
async fn willing() -> (std::net::SocketAddr, tokio::sync::mpsc::Receiver<String>) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (sender, receiver) = tokio::sync::mpsc::channel(64);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                let length = stream.read(&mut bytes).await.unwrap_or_default();
                let head = String::from_utf8_lossy(&bytes[..length]).to_lowercase();
                let upgrades =
                    head.contains("\r\nupgrade:") && head.contains("connection: upgrade");
                let answer = match upgrades {
                    true => "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
                    false => "HTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n",
                };
                let _ = sender.send(head).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.read(&mut bytes).await;
            });
        }
    });
    (address, receiver)
}

#[tokio::test]
#[ignore = "needs nginx, Envoy and Caddy; tests/run installs them"]
async fn no_request_leaves_http_for_a_protocol_in_which_nobody_looks() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let bearer = format!("Bearer {}", idp.token().mint());
    for kind in Kind::ALL {
        let (upstream, mut heads) = willing().await;
        let proxy = Proxy::start(kind, &gateway, upstream).await;
        for protocol in ["h2c", "websocket", "H2C"] {
            let upgrade = [
                ("Connection", "Upgrade, HTTP2-Settings"),
                ("Upgrade", protocol),
                ("HTTP2-Settings", "AAMAAABk"),
            ];
            let preflight = [("Origin", "https://x"), ("Access-Control-Request-Method", "POST")];
            for (line, headers) in
                [("OPTIONS /pay", &preflight[..]), ("GET /me", &[("Authorization", &*bearer)])]
            {
                let (status, answer) = call(&proxy, line, &[headers, &upgrade[..]].concat()).await;
                assert_ne!(status, 101, "{kind:?}: {line} {protocol}: {answer}");
                while let Ok(head) = heads.try_recv() {
                    let asks =
                        head.contains("\r\nupgrade:") && head.contains("connection: upgrade");
                    assert!(!asks, "{kind:?}: {line} {protocol} reached the upstream as {head}");
                }
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs nginx; tests/run installs it"]
async fn what_nginx_inherits_opens_nothing() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let upstream = Upstream::start().await;
    let inherited = "satisfy any; allow all; underscores_in_headers on; ignore_invalid_headers off; \
                     proxy_cache_path {folder}/cache keys_zone=all:1m; proxy_cache all; \
                     proxy_cache_valid any 1m; proxy_cache_methods GET HEAD POST;";
    let proxy = Proxy::nginx_with(inherited, &gateway, upstream.address()).await;
    assert_eq!(call(&proxy, "POST /pay", &[]).await.0, 401);
    let bearer = format!("Bearer {}", idp.token().mint());
    let headers = [("Authorization", &*bearer), ("X_Step_Up_Subject", "mallory")];
    assert_eq!(call(&proxy, "GET /me", &headers).await.0, 200);
    let reached = upstream.take();
    assert_eq!(reached.len(), 1);
    assert!(!reached[0].headers.values().any(|value| value == "mallory"));
    for line in ["POST /pay", "GET /me", "GET /other"] {
        let (status, _) = call(&proxy, line, &[]).await;
        assert!(status == 401 || status == 403, "{line}: {status}");
    }
    assert!(upstream.take().is_empty(), "an answer is good for one request");
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
