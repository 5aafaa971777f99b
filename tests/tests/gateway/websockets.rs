//! WebSockets from a page in Chromium, through every proxy: the endpoint that opens the socket decides.

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use http::HeaderMap;
use serde_json::{Value, json};
use stepup_runtime::testing::TestIssuer;
use stepup_tests::bank::issuer;
use stepup_tests::chromium::Page;
use stepup_tests::gateways::Gateway;
use stepup_tests::proxy::{Kind, Proxy};
use stepup_tests::server::Server;

/// Opens a socket with each token, and displays what it receives.
const SCRIPT: &str = r#"
function open(url, token) {
  return new Promise((resolve) => {
    const protocols = token === null ? ['bank.v1'] : ['bank.v1', `step-up.bearer.${token}`];
    const socket = new WebSocket(url, protocols);
    const received = [];
    socket.onopen = () => socket.send('hello');
    socket.onmessage = (message) => {
      received.push(message.data);
      if (received.length === 2) resolve({ protocol: socket.protocol, received });
    };
    socket.onerror = () => resolve({ protocol: null, received });
  });
}
const results = [];
for (const url of URLS) for (const token of [STRONG, WEAK, null]) results.push(await open(url, token));
"#;

/// Sends the caller's subject, then echoes.
async fn echo(upgrade: WebSocketUpgrade, headers: HeaderMap) -> Response {
    let subject = headers.get("x-step-up-subject").and_then(|subject| subject.to_str().ok());
    let subject = subject.unwrap_or("nobody").to_owned();
    upgrade.protocols(["bank.v1"]).on_upgrade(async move |mut socket: WebSocket| {
        let _ = socket.send(Message::text(subject)).await;
        while let Some(Ok(message)) = socket.recv().await {
            let _ = socket.send(message).await;
        }
    })
}

async fn gateway(idp: &TestIssuer, websocket_tokens: bool) -> Gateway {
    let contract = json!([
        {"method": "GET", "path": "/socket", "security": {"step-up": true, "methods": ["mfa"]}},
    ]);
    let settings =
        format!("{}\n[gateway]\nwebsocket-tokens = {websocket_tokens}\n", issuer(idp.url()));
    Gateway::start(&contract.to_string(), &settings, None).await
}

async fn upstream() -> Server {
    Server::start(Router::new().route("/socket", get(echo))).await
}

/// What the page receives at each proxy with a strong token, with a weak one, and without a token.
async fn open_all(idp: &TestIssuer, proxies: &[Proxy]) -> Vec<Value> {
    let urls = proxies.iter().map(|proxy| format!("ws://{}/socket", proxy.address));
    let mut page = Page::start().await;
    page.set(&format!(
        "const URLS = {}; const WEAK = {:?}; const STRONG = {:?};{SCRIPT}",
        json!(urls.collect::<Vec<_>>()),
        idp.password_token(),
        idp.mfa_token(),
    ));
    page.results().await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and every proxy; tests/run installs them"]
async fn a_page_opens_a_websocket_with_its_token_through_every_proxy() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let (gateway, upstream) = (gateway(&idp, true).await, upstream().await);
    let mut proxies = Vec::new();
    for kind in Kind::ALL {
        proxies.push(Proxy::start_with_websockets(kind, &gateway, upstream.address).await);
    }
    let results = open_all(&idp, &proxies).await;
    for (kind, results) in Kind::ALL.into_iter().zip(results.chunks(3)) {
        let opened = json!({"protocol": "bank.v1", "received": ["alice", "hello"]});
        let refused = json!({"protocol": null, "received": []});
        assert_eq!(results, [opened, refused.clone(), refused], "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and every proxy; tests/run installs them"]
async fn no_websocket_opens_unless_the_settings_allow_it() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let upstream = upstream().await;
    let (refusing, accepting) = (gateway(&idp, false).await, gateway(&idp, true).await);
    let mut proxies =
        vec![Proxy::start_with_websockets(Kind::Nginx, &refusing, upstream.address).await];
    for kind in Kind::ALL {
        proxies.push(Proxy::start(kind, &accepting, upstream.address).await);
    }
    for result in open_all(&idp, &proxies).await {
        assert_eq!(result["received"], json!([]));
    }
}
