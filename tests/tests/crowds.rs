//! Many clients at once whose tokens nobody knows yet, and one whose token is known, through the real Envoy: it has
//! room for as many questions as Step-up lets wait, and some more.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use serde_json::json;
use std::time::Duration;
use stepup_tests::bank::{contract, issuer, with_unknown_key};
use stepup_tests::gateways::Gateway;
use stepup_tests::proxy::{Kind, Proxy};
use stepup_tests::scripted::Script;
use stepup_tests::upstream::Upstream;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

/// More than Step-up lets wait for an issuer, and than Envoy lets wait for another server if it is not told.
const CLIENTS: usize = 1024 + 16;

#[tokio::test]
#[ignore = "needs Envoy; tests/run installs it"]
async fn clients_whose_tokens_wait_for_an_issuer_take_no_place_from_others() {
    for kind in [Kind::EnvoyHttp, Kind::EnvoyGrpc] {
        let (http, _idp, [known, unknown]) = with_unknown_key().await;
        let contract = contract(&json!(["mfa"])).to_string();
        let gateway = Gateway::start(&contract, &issuer(&http.url), None).await;
        let upstream = Upstream::start().await;
        let proxy = Proxy::start(kind, &gateway, upstream.address()).await;
        let bearer = format!("Bearer {known}");
        let me = async || proxy.call("GET /me", &[("Authorization", &bearer)]).await.0;
        assert_eq!(me().await, 200, "{kind:?}");
        http.on("/jwks", Script::Hang);
        let request =
            format!("GET /me HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {unknown}\r\n\r\n");
        let mut waiting = Vec::with_capacity(CLIENTS);
        for _ in 0..CLIENTS {
            let mut client = TcpStream::connect(proxy.address).await.expect("it listens");
            client.write_all(request.as_bytes()).await.expect("sent");
            waiting.push(client);
        }
        // The last of them are put off by Step-up, so that all others wait there.
        let put_off = format!("mode=\"{}\",decision=\"unavailable\"", kind.mode());
        let mut metrics = String::new();
        for _ in 0..80 {
            metrics = gateway.admin("/metrics").await.body;
            if metrics.contains(&put_off) {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
        assert!(metrics.contains(&put_off), "{kind:?}: {metrics}");
        assert_eq!(me().await, 200, "{kind:?}: a known token waits for nobody");
        drop(waiting);
    }
}
