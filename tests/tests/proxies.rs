//! The real nginx, Caddy, Traefik and Envoy, configured by `stepup render`: whom the upstream is told to serve, and what a
//! client cannot say or change. What reaches the client is in `reaches_client.rs`.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use serde_json::json;
use stepup_runtime::testing::{AUDIENCE, TestAlgorithm, TestHolder, TestIssuer};
use stepup_tests::command::{run, stepup, workspace};
use stepup_tests::gateways::{Gateway, Kind, MODES, Proxy};
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
#[ignore = "needs nginx, Caddy, Traefik and Envoy; tests/run installs them"]
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
#[ignore = "needs nginx, Caddy, Traefik and Envoy; tests/run installs them"]
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
#[ignore = "needs nginx, Caddy, Traefik and Envoy; tests/run installs them"]
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
#[ignore = "needs nginx, Caddy, Traefik and Envoy; tests/run installs them"]
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

/// What a gateway of another family would say is the client's word, and counts for nothing.
#[tokio::test]
#[ignore = "needs nginx, Caddy, Traefik and Envoy; tests/run installs them"]
async fn what_another_gateway_would_say_is_ignored() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let weak = format!("Bearer {}", idp.token().claim("scope", "pay").mint());
    let saying = |method, target| {
        [
            ("Authorization", &*weak),
            ("X-Original-Method", method),
            ("X-Original-URI", target),
            ("X-Forwarded-Method", method),
            ("X-Forwarded-Uri", target),
            ("X-Envoy-Original-Path", target),
            ("X-Envoy-Original-Method", method),
        ]
    };
    for kind in Kind::ALL {
        let upstream = Upstream::start().await;
        let proxy = Proxy::start(kind, &gateway, upstream.address()).await;
        let (status, answer) = call(&proxy, "POST /pay", &saying("GET", "/me")).await;
        assert_eq!((status, upstream.take().len()), (401, 0), "{kind:?}: {answer}");
        let (status, answer) = call(&proxy, "GET /me", &saying("POST", "/pay")).await;
        let reached = upstream.take();
        assert_eq!((status, reached.len()), (200, 1), "{kind:?}: {answer}");
        assert_eq!((&*reached[0].method, &*reached[0].target), ("GET", "/me"), "{kind:?}");
    }
}

/// A service that makes an address of its host and its path finds no other path in it, and a preflight has nothing
/// that could be done.
#[tokio::test]
#[ignore = "needs nginx, Caddy, Traefik and Envoy; tests/run installs them"]
async fn no_header_holds_another_path() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let bearer = format!("Bearer {}", idp.token().mint());
    for kind in Kind::ALL {
        let upstream = Upstream::start().await;
        let proxy = Proxy::start(kind, &gateway, upstream.address()).await;
        for host in ["api\\pay?", "api\\pay#", "api?", "api/pay"] {
            let request = format!(
                "GET /me HTTP/1.1\r\nHost: {host}\r\nAuthorization: {bearer}\r\nConnection: close\r\n\r\n"
            );
            let answer = raw(proxy.address, request.as_bytes()).await;
            let reached = upstream.take();
            let told = reached.iter().any(|reached| reached.headers["host"] == host);
            assert!(!told, "{kind:?}: {host}: {answer}");
        }
        for (name, value) in [
            ("X-Script-Name", "/public"),
            ("X_Script_Name", "/public"),
            ("X-Forwarded-Script-Name", "/public"),
            ("X-Forwarded-Host", "api:80/pay?"),
            ("X-Forwarded-Proto", "http://api/pay?"),
            ("X-Forwarded-Port", "1/pay?"),
            ("Forwarded", "host=\"api/pay?\""),
        ] {
            call(&proxy, "GET /me", &[("Authorization", &*bearer), (name, value)]).await;
            let reached = upstream.take();
            let told = reached.iter().any(|one| one.headers.values().any(|there| there == value));
            assert!(!told, "{kind:?}: {name}: {value} has come through");
        }
        let preflight = [("Origin", "https://x"), ("Access-Control-Request-Method", "POST")];
        for more in [("Cookie", "a=b"), ("Content-Type", "text/plain"), ("Authorization", &*bearer)]
        {
            let (status, _) =
                call(&proxy, "OPTIONS /pay", &[&preflight[..], &[more]].concat()).await;
            assert_eq!((status, upstream.take().len()), (403, 0), "{kind:?}: {more:?}");
        }
    }
}

/// A service may be led by its client to name another path, as Rack and Plack can be, which nobody has judged.
#[tokio::test]
#[ignore = "needs nginx; tests/run installs it"]
async fn nginx_serves_no_other_path_in_place_of_the_one_that_was_judged() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let bearer = format!("Bearer {}", idp.token().mint());
    let (upstream, mut heads) = answering("X-Accel-Redirect: /pay\r\n").await;
    let proxy = Proxy::start(Kind::Nginx, &gateway, upstream).await;
    let asked = [
        ("Authorization", &*bearer),
        ("X-Sendfile-Type", "x-accel-redirect"),
        ("X-Accel-Mapping", "/=/pay"),
    ];
    assert_eq!(call(&proxy, "GET /me", &asked).await.0, 200);
    let head = heads.recv().await.expect("it was reached");
    assert!(head.starts_with("get /me "), "{head}");
    assert!(!head.contains("sendfile") && !head.contains("x-accel"), "{head}");
    assert!(heads.try_recv().is_err(), "another path is served");
}

/// An upstream that gives one answer, with these header fields, and tells what it was asked.
async fn answering(
    fields: &'static str,
) -> (std::net::SocketAddr, tokio::sync::mpsc::Receiver<String>) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (sender, receiver) = tokio::sync::mpsc::channel(64);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = [0; 4096];
            let length = stream.read(&mut bytes).await.unwrap_or_default();
            let head = String::from_utf8_lossy(&bytes[..length]).to_lowercase();
            let _ = sender.send(head).await;
            let answer =
                format!("HTTP/1.1 200 x\r\nConnection: close\r\n{fields}Content-Length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, receiver)
}

/// A gateway that asks at the port of another mode, which then believes what the question's own line says.
#[tokio::test]
#[ignore = "needs nginx, Caddy, Traefik and Envoy; tests/run installs them"]
async fn who_asks_at_a_wrong_port_is_let_through_nowhere() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let contract = json!({
        "contract": 1, "service": "bank", "version": "1", "unlisted": "allow", "endpoints": [
            {"method": "POST", "path": "/pay", "security": {"step-up": true, "methods": ["mfa"]}},
        ],
    });
    let settings = format!("[[issuers]]\nissuer = \"{}\"\naudience = \"{AUDIENCE}\"\n", idp.url());
    let gateway = Gateway::start(&contract.to_string(), &settings, None).await;
    for kind in Kind::ALL {
        for mode in MODES.into_iter().filter(|mode| *mode != kind.mode()) {
            let upstream = Upstream::start().await;
            let proxy = Proxy::asking(kind, mode, &gateway, upstream.address()).await;
            let (status, answer) = call(&proxy, "POST /pay", &[]).await;
            assert!(status >= 400, "{kind:?} at {mode}: {answer}");
            assert!(upstream.take().is_empty(), "{kind:?} at {mode}: {answer}");
        }
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
#[ignore = "needs nginx, Caddy, Traefik and Envoy; tests/run installs them"]
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
#[ignore = "needs nginx, Caddy, Traefik and Envoy; tests/run installs them"]
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

#[test]
fn the_documented_configurations_are_the_rendered_ones() {
    let page = std::fs::read_to_string(workspace().join("docs/gateways.md")).expect("the page");
    let contract = "docs/gateways/contract.json";
    for arguments in [
        &["render", "nginx", contract][..],
        &["render", "caddy", contract],
        &["render", "traefik", contract],
        &["render", "envoy", contract],
        &["render", "envoy", contract, "--over", "http"],
    ] {
        let rendered = run(stepup(), arguments);
        let rendered = String::from_utf8(rendered.stdout).expect("text");
        assert!(page.contains(&rendered), "docs/gateways.md does not show:\n{rendered}");
    }
}

/// What is to be copied from the page, as it stands there but for free ports.
#[tokio::test]
#[ignore = "needs nginx, Caddy, Traefik and Envoy; tests/run installs them"]
async fn what_the_page_shows_guards_a_service() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let page = std::fs::read_to_string(workspace().join("docs/gateways.md")).expect("the page");
    let contract = workspace().join("docs/gateways/contract.json");
    let contract = std::fs::read_to_string(contract).expect("the contract");
    let settings = format!("[[issuers]]\nissuer = \"{}\"\naudience = \"{AUDIENCE}\"\n", idp.url());
    let gateway = Gateway::start(&contract, &settings, None).await;
    let (weak, strong) =
        (format!("Bearer {}", idp.password_token()), format!("Bearer {}", idp.mfa_token()));
    let blocks = |language: &str| {
        let opening = format!("```{language}\n");
        let blocks = page.split(&*opening).skip(1);
        Vec::from_iter(blocks.map(|block| block.split("```").next().unwrap_or_default()))
    };
    let [nginx, caddy, yaml] = ["nginx", "caddyfile", "yaml"].map(blocks);
    for (kind, text, port) in [
        (Kind::Nginx, nginx[0], "9001"),
        (Kind::Caddy, caddy[0], "9002"),
        (Kind::Traefik, yaml[0], "9002"),
        (Kind::EnvoyGrpc, yaml[1], "9004"),
        (Kind::EnvoyHttp, yaml[2], "9003"),
    ] {
        let upstream = Upstream::start().await;
        let ports = ["8080", "3000", port];
        let proxy = Proxy::written(kind, text, ports, &gateway, upstream.address()).await;
        let line = "POST /approve-transaction";
        assert_eq!(call(&proxy, line, &[]).await.0, 401, "{kind:?}");
        let (status, answer) = call(&proxy, line, &[("Authorization", &weak)]).await;
        assert_eq!(status, 401, "{kind:?}: {answer}");
        assert!(answer.contains("insufficient_user_authentication"), "{kind:?}: {answer}");
        assert_eq!(call(&proxy, "GET /other", &[("Authorization", &strong)]).await.0, 403);
        assert!(upstream.take().is_empty(), "{kind:?}");
        assert_eq!(call(&proxy, line, &[("Authorization", &strong)]).await.0, 200, "{kind:?}");
        let reached = upstream.take();
        assert_eq!(reached[0].headers["x-step-up-subject"], "alice", "{kind:?}");
    }
}
