//! Many concurrent clients with unknown tokens, and one with a known token, through the real Envoy. Its limit for
//! pending checks must be above the number of checks that wait in Step-up.

use serde_json::json;
use std::time::Duration;
use stepup_tests::bank::{contract, issuer, with_unknown_key};
use stepup_tests::fake_issuer::Response;
use stepup_tests::gateways::Gateway;
use stepup_tests::proxy::{Kind, Proxy};
use stepup_tests::upstream::Upstream;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

/// More than the 1024 checks that can wait in Step-up for an issuer, and more than Envoy's default limit for pending
/// requests.
const CLIENTS: usize = 1024 + 16;

#[tokio::test]
#[ignore = "needs Envoy; tests/run installs it"]
async fn checks_that_wait_for_an_issuer_do_not_delay_others() {
    for kind in [Kind::EnvoyHttp, Kind::EnvoyGrpc] {
        let (http, _idp, [known, _, unknown]) = with_unknown_key().await;
        let contract = contract(&json!(["mfa"])).to_string();
        let gateway = Gateway::start(&contract, &issuer(&http.url), None).await;
        let upstream = Upstream::start().await;
        let proxy = Proxy::start(kind, &gateway, upstream.address()).await;
        let bearer = format!("Bearer {known}");
        let me = async || proxy.call("GET /me", &[("Authorization", &bearer)]).await.0;
        assert_eq!(me().await, 200, "{kind:?}");
        http.on("/jwks", Response::Hang);
        let request =
            format!("GET /me HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {unknown}\r\n\r\n");
        let mut waiting = Vec::with_capacity(CLIENTS);
        for _ in 0..CLIENTS {
            let mut client = TcpStream::connect(proxy.address).await.expect("it listens");
            client.write_all(request.as_bytes()).await.expect("sent");
            waiting.push(client);
        }
        // Once Step-up refuses the last clients as unavailable, all others are waiting.
        let refused = format!("mode=\"{}\",decision=\"unavailable\"", kind.mode());
        let mut metrics = String::new();
        for _ in 0..80 {
            metrics = gateway.admin("/metrics").await.body;
            if metrics.contains(&refused) {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
        assert!(metrics.contains(&refused), "{kind:?}: {metrics}");
        assert_eq!(me().await, 200, "{kind:?}: a known token does not wait");
        drop(waiting);
    }
}
