//! Paths with bytes that are not ASCII. HTTP/2 clients can send them, but Envoy does not pass these bytes to Step-up.

use serde_json::json;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use stepup_runtime::testing::{AUDIENCE, TestIssuer};
use stepup_tests::gateways::Gateway;
use stepup_tests::http2::send;
use stepup_tests::proxy::{Kind, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Sends a POST over HTTP/2 to this path, byte for byte.
async fn post(proxy: SocketAddr, path: &[u8], token: &str) {
    let bearer = format!("Bearer {token}");
    let fields: [(&str, &[u8]); 6] = [
        (":method", b"POST"),
        (":scheme", b"http"),
        (":authority", b"api"),
        (":path", path),
        ("authorization", bearer.as_bytes()),
        ("content-length", b"0"),
    ];
    send(proxy, &fields).await;
}

/// An upstream that accepts every byte, and the heads of the requests that it has received.
async fn upstream() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    let reached = Arc::new(Mutex::new(Vec::new()));
    let heads = Arc::clone(&reached);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let heads = Arc::clone(&heads);
            tokio::spawn(async move {
                let (mut head, mut read) = (Vec::new(), [0; 4096]);
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read(&mut read).await {
                        Ok(some) if some > 0 => head.extend(&read[..some]),
                        _ => return,
                    }
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                heads.lock().expect("no panic").push(head);
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    .await;
            });
        }
    });
    (address, reached)
}

#[tokio::test]
#[ignore = "needs Envoy; tests/run installs it"]
async fn a_request_with_bytes_that_envoy_hides_does_not_reach_the_upstream() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let mfa = json!({"step-up": true, "methods": ["mfa"]});
    let contract = json!([
        {"method": "POST", "path": "/p/settings", "security": mfa},
        {"method": "POST", "path": "/p/{name}", "security": {"step-up": false}},
        {"method": "POST", "path": "/public/{*rest}", "security": {"step-up": false}},
    ]);
    let settings = format!("[[issuers]]\nissuer = \"{}\"\naudience = \"{AUDIENCE}\"\n", idp.url());
    let gateway = Gateway::start(&contract.to_string(), &settings, None).await;
    let token = idp.password_token();
    for kind in [Kind::EnvoyHttp, Kind::EnvoyGrpc] {
        let (address, reached) = upstream().await;
        let proxy = Proxy::start(kind, &gateway, address).await;
        for path in [
            &b"/p/sett\xffings"[..],
            b"/p/san\xff",
            b"/p/\xc5\xbfettings",
            b"/public/..\xc0\xafp/settings",
            b"/p/a?_meth\xffod=DELETE",
        ] {
            post(proxy.address, path, &token).await;
            let reached = std::mem::take(&mut *reached.lock().expect("no panic"));
            assert!(reached.is_empty(), "{kind:?}: {reached:?}");
        }
        post(proxy.address, b"/p/sara", &token).await;
        assert_eq!(reached.lock().expect("no panic").len(), 1, "{kind:?}");
    }
}
