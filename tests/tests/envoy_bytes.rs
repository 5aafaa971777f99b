//! What Envoy cannot show its authorizer: a path with bytes that are not ASCII, which HTTP/2 lets a client send.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use serde_json::json;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use stepup_runtime::testing::{AUDIENCE, TestIssuer};
use stepup_tests::gateways::{Gateway, Kind, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Sends a POST over HTTP/2 to this path, byte for byte, and waits for the head of its answer. Every client at hand
/// refuses to send such a path, so that the frames are made here (RFC 9113 §4.1, RFC 7541 §6.2.2).
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
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        block.extend(string(name.as_bytes()));
        block.extend(string(value));
    }
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    sent.extend(frame(SETTINGS, 0, 0, &[]));
    sent.extend(frame(HEADERS, END_STREAM | END_HEADERS, 1, &block));
    let mut stream = TcpStream::connect(proxy).await.expect("a connection");
    stream.write_all(&sent).await.expect("sent");
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.expect("a frame, until there is an answer");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).expect("a length")];
        stream.read_exact(&mut payload).await.expect("the frame's payload");
        // A reset is an answer, too.
        if (head[3] == HEADERS || head[3] == RST_STREAM) && head[8] == 1 {
            return;
        }
    }
}

/// An upstream that takes every byte, and the heads of the requests that have reached it.
async fn upstream() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    let reached = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&reached);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let keep = Arc::clone(&keep);
            tokio::spawn(async move {
                let (mut head, mut read) = (Vec::new(), [0; 4096]);
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read(&mut read).await {
                        Ok(some) if some > 0 => head.extend(&read[..some]),
                        _ => return,
                    }
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                keep.lock().expect("no panic").push(head);
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    .await;
            });
        }
    });
    (address, reached)
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a length").to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags, 0, 0, 0, stream]);
    frame.extend(payload);
    frame
}

/// A literal of HPACK, its length in groups of seven bits where it is long (RFC 7541 §5.1).
fn string(text: &[u8]) -> Vec<u8> {
    let mut string = Vec::new();
    match text.len().checked_sub(127) {
        None => string.push(u8::try_from(text.len()).expect("below 127")),
        Some(mut rest) => {
            string.push(127);
            while rest >= 128 {
                string.push(u8::try_from(rest % 128).expect("seven bits") | 128);
                rest /= 128;
            }
            string.push(u8::try_from(rest).expect("seven bits"));
        }
    }
    string.extend(text);
    string
}

#[tokio::test]
#[ignore = "needs Envoy; tests/run installs it"]
async fn no_byte_that_envoy_hides_reaches_the_upstream() {
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
