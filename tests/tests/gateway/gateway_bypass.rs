//! Attempts to bypass the check behind the real nginx, Caddy, Traefik and Envoy: another path in a header or in the
//! response of the service, another protocol, another port, and inherited configuration. All must fail.

use std::net::SocketAddr;
use stepup_runtime::testing::TestIssuer;
use stepup_tests::bank::{open_bank, resource_bank};
use stepup_tests::gateways::MODES;
use stepup_tests::proxy::{Kind, Proxy};
use stepup_tests::upstream::{Upstream, send_raw};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver, channel};

/// A service that builds a URL from the host and the path must not get another path. A preflight with a
/// cookie, a body type or a credential is refused, because a service could treat it as a real request.
#[tokio::test]
#[ignore = "needs every proxy; tests/run installs them"]
async fn no_header_can_carry_another_path() {
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
            let answer = send_raw(proxy.address, request.as_bytes()).await;
            let reached = upstream.take();
            let forwarded = reached.iter().any(|reached| reached.headers["host"] == host);
            assert!(!forwarded, "{kind:?}: {host}: {answer}");
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
            let forwarded =
                reached.iter().any(|one| one.headers.values().any(|other| other == value));
            assert!(!forwarded, "{kind:?}: {name}: {value} reached the upstream");
        }
        let preflight = [("Origin", "https://x"), ("Access-Control-Request-Method", "POST")];
        for more in [("Cookie", "a=b"), ("Content-Type", "text/plain"), ("Authorization", &*bearer)]
        {
            let (status, _) = proxy.call("OPTIONS /pay", &[&preflight[..], &[more]].concat()).await;
            assert_eq!((status, upstream.take().len()), (403, 0), "{kind:?}: {more:?}");
        }
    }
}

/// Rack and Plack let a client choose the path in `X-Accel-Redirect`, which nginx would serve without a check.
#[tokio::test]
#[ignore = "needs nginx; tests/run installs it"]
async fn nginx_follows_no_redirect_to_an_unchecked_path() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = resource_bank(&idp, "").await;
    let bearer = format!("Bearer {}", idp.token().mint());
    let (upstream, mut heads) = upstream_with_headers("X-Accel-Redirect: /pay\r\n").await;
    let proxy = Proxy::start(Kind::Nginx, &gateway, upstream).await;
    let headers = [
        ("Authorization", &*bearer),
        ("X-Sendfile-Type", "x-accel-redirect"),
        ("X-Accel-Mapping", "/=/pay"),
    ];
    assert_eq!(proxy.call("GET /me", &headers).await.0, 200);
    let head = heads.recv().await.expect("the upstream was reached");
    assert!(head.starts_with("get /me "), "{head}");
    assert!(!head.contains("sendfile") && !head.contains("x-accel"), "{head}");
    assert!(heads.try_recv().is_err(), "another path was served");
}

/// An upstream that responds with these header fields, and a channel with the heads of its requests.
async fn upstream_with_headers(fields: &'static str) -> (SocketAddr, Receiver<String>) {
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

/// A proxy that sends its checks to the port of another mode. There, the request line of a check could be mistaken for
/// the request line of the client.
#[tokio::test]
#[ignore = "needs every proxy; tests/run installs them"]
async fn checks_at_the_port_of_another_mode_are_refused() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = open_bank(&idp).await;
    for kind in Kind::ALL {
        for mode in MODES.into_iter().filter(|mode| *mode != kind.mode()) {
            let upstream = Upstream::start().await;
            let proxy = Proxy::start_in_mode(kind, mode, &gateway, upstream.address()).await;
            let (status, answer) = proxy.call("POST /pay", &[]).await;
            assert!(status >= 400, "{kind:?} at {mode}: {answer}");
            assert!(upstream.take().is_empty(), "{kind:?} at {mode}: {answer}");
        }
    }
}

/// An upstream that accepts every protocol upgrade, and a channel with the heads of its requests.
async fn upgrading_upstream() -> (SocketAddr, Receiver<String>) {
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
#[ignore = "needs every proxy; tests/run installs them"]
async fn no_request_can_upgrade_to_an_unchecked_protocol() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = resource_bank(&idp, "").await;
    let bearer = format!("Bearer {}", idp.token().mint());
    for (kind, websockets) in Kind::ALL.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let (upstream, mut heads) = upgrading_upstream().await;
        let (proxy, protocols) = if websockets {
            // Two in one header, and in two.
            let protocols =
                ["h2c", "h2c, websocket", "websocket, h2c", "h2c+websocket", "websocket+h2c"];
            let protocols = [&protocols[..], &["websocket"]].concat();
            (Proxy::start_with_websockets(kind, &gateway, upstream).await, protocols)
        } else {
            (Proxy::start(kind, &gateway, upstream).await, vec!["h2c", "websocket", "H2C"])
        };
        for protocol in protocols {
            let mut upgrade =
                vec![("Connection", "Upgrade, HTTP2-Settings"), ("HTTP2-Settings", "AAMAAABk")];
            upgrade.extend(protocol.split('+').map(|protocol| ("Upgrade", protocol)));
            let preflight = [("Origin", "https://x"), ("Access-Control-Request-Method", "POST")];
            for (line, headers) in
                [("OPTIONS /pay", &preflight[..]), ("GET /me", &[("Authorization", &*bearer)])]
            {
                let (status, answer) = proxy.call(line, &[headers, &upgrade[..]].concat()).await;
                let mut opened = false;
                while let Ok(head) = heads.try_recv() {
                    let upgrades: Vec<&str> = head
                        .lines()
                        .filter_map(|line| line.strip_prefix("upgrade: "))
                        .filter(|_| head.contains("connection: upgrade"))
                        .collect();
                    // The endpoint decides about a WebSocket, so only a request with a token may open one.
                    opened = websockets && line == "GET /me" && upgrades == ["websocket"];
                    assert!(
                        opened || upgrades.is_empty(),
                        "{kind:?}: {line} {protocol} reached the upstream as {head}"
                    );
                }
                assert!(opened || status != 101, "{kind:?}: {line} {protocol}: {answer}");
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs nginx; tests/run installs it"]
async fn inherited_nginx_directives_do_not_weaken_the_check() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = resource_bank(&idp, "").await;
    let upstream = Upstream::start().await;
    let inherited = "satisfy any; allow all; underscores_in_headers on; ignore_invalid_headers off; \
                     proxy_cache_path {folder}/cache keys_zone=all:1m; proxy_cache all; \
                     proxy_cache_valid any 1m; proxy_cache_methods GET HEAD POST;";
    let proxy = Proxy::start_nginx_with(inherited, &gateway, upstream.address()).await;
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
    assert!(upstream.take().is_empty(), "a response was cached");
}
