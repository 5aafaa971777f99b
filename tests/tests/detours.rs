//! No way around the judgement of a request behind the real nginx, Caddy, Traefik and Envoy: no other path in a header
//! or in the service's own answer, no other protocol, no other port, and nothing that a configuration inherits.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::net::SocketAddr;
use stepup_runtime::testing::TestIssuer;
use stepup_tests::bank::{open_bank, resource_bank};
use stepup_tests::gateways::MODES;
use stepup_tests::proxy::{Kind, Proxy};
use stepup_tests::upstream::{Upstream, raw};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver, channel};

/// A service that makes an address of its host and its path finds no other path in it, and a preflight has nothing
/// that could be done.
#[tokio::test]
#[ignore = "needs nginx, Caddy, Traefik and Envoy; tests/run installs them"]
async fn no_header_holds_another_path() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = resource_bank(&idp, "").await;
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
            proxy.call("GET /me", &[("Authorization", &*bearer), (name, value)]).await;
            let reached = upstream.take();
            let told = reached.iter().any(|one| one.headers.values().any(|there| there == value));
            assert!(!told, "{kind:?}: {name}: {value} has come through");
        }
        let preflight = [("Origin", "https://x"), ("Access-Control-Request-Method", "POST")];
        for more in [("Cookie", "a=b"), ("Content-Type", "text/plain"), ("Authorization", &*bearer)]
        {
            let (status, _) = proxy.call("OPTIONS /pay", &[&preflight[..], &[more]].concat()).await;
            assert_eq!((status, upstream.take().len()), (403, 0), "{kind:?}: {more:?}");
        }
    }
}

/// A service may be led by its client to name another path, as Rack and Plack can be, which nobody has judged.
#[tokio::test]
#[ignore = "needs nginx; tests/run installs it"]
async fn nginx_serves_no_other_path_in_place_of_the_one_that_was_judged() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = resource_bank(&idp, "").await;
    let bearer = format!("Bearer {}", idp.token().mint());
    let (upstream, mut heads) = answering("X-Accel-Redirect: /pay\r\n").await;
    let proxy = Proxy::start(Kind::Nginx, &gateway, upstream).await;
    let asked = [
        ("Authorization", &*bearer),
        ("X-Sendfile-Type", "x-accel-redirect"),
        ("X-Accel-Mapping", "/=/pay"),
    ];
    assert_eq!(proxy.call("GET /me", &asked).await.0, 200);
    let head = heads.recv().await.expect("it was reached");
    assert!(head.starts_with("get /me "), "{head}");
    assert!(!head.contains("sendfile") && !head.contains("x-accel"), "{head}");
    assert!(heads.try_recv().is_err(), "another path is served");
}

/// An upstream that gives one answer, with these header fields, and tells what it was asked.
async fn answering(fields: &'static str) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (sender, receiver) = channel(64);
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
    let gateway = open_bank(&idp).await;
    for kind in Kind::ALL {
        for mode in MODES.into_iter().filter(|mode| *mode != kind.mode()) {
            let upstream = Upstream::start().await;
            let proxy = Proxy::asking(kind, mode, &gateway, upstream.address()).await;
            let (status, answer) = proxy.call("POST /pay", &[]).await;
            assert!(status >= 400, "{kind:?} at {mode}: {answer}");
            assert!(upstream.take().is_empty(), "{kind:?} at {mode}: {answer}");
        }
    }
}

/// An upstream that goes over to whatever protocol it is asked for, and tells whether it was.
async fn willing() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (sender, receiver) = channel(64);
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
    let gateway = resource_bank(&idp, "").await;
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
                let (status, answer) = proxy.call(line, &[headers, &upgrade[..]].concat()).await;
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
    let gateway = resource_bank(&idp, "").await;
    let upstream = Upstream::start().await;
    let inherited = "satisfy any; allow all; underscores_in_headers on; ignore_invalid_headers off; \
                     proxy_cache_path {folder}/cache keys_zone=all:1m; proxy_cache all; \
                     proxy_cache_valid any 1m; proxy_cache_methods GET HEAD POST;";
    let proxy = Proxy::nginx_with(inherited, &gateway, upstream.address()).await;
    assert_eq!(proxy.call("POST /pay", &[]).await.0, 401);
    let bearer = format!("Bearer {}", idp.token().mint());
    let headers = [("Authorization", &*bearer), ("X_Step_Up_Subject", "mallory")];
    assert_eq!(proxy.call("GET /me", &headers).await.0, 200);
    let reached = upstream.take();
    assert_eq!(reached.len(), 1);
    assert!(!reached[0].headers.values().any(|value| value == "mallory"));
    for line in ["POST /pay", "GET /me", "GET /other"] {
        let (status, _) = proxy.call(line, &[]).await;
        assert!(status == 401 || status == 403, "{line}: {status}");
    }
    assert!(upstream.take().is_empty(), "an answer is good for one request");
}
