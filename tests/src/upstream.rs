//! A plain upstream that records the requests that it receives, and a client that sends a request byte for byte.

use crate::server::Server;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use http::{HeaderMap, Request};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A request that the upstream received.
#[derive(Debug, Clone)]
pub struct ReceivedRequest {
    /// The method.
    pub method: String,
    /// The request target, as in the request line.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
}

/// An upstream that records each request and responds with [`UPSTREAM_BODY`].
#[derive(Debug)]
pub struct Upstream {
    server: Server,
    received: Arc<Mutex<Vec<ReceivedRequest>>>,
}

/// The body of every response of the upstream.
pub const UPSTREAM_BODY: &str = "the upstream was reached";

/// The response header with the length of the request body.
pub const BODY_LENGTH_HEADER: &str = "reached-bytes";

impl Upstream {
    /// Starts an upstream on a free port.
    pub async fn start() -> Self {
        Self::behind(|app| app).await
    }

    /// Starts an upstream whose router is wrapped, for example in a layer.
    pub async fn behind(wrap: impl FnOnce(Router) -> Router) -> Self {
        async fn remember(
            State(received): State<Arc<Mutex<Vec<ReceivedRequest>>>>,
            request: Request<Body>,
        ) -> ([(&'static str, String); 1], &'static str) {
            let (head, body) = request.into_parts();
            let (method, target) = (head.method.to_string(), head.uri.to_string());
            let request = ReceivedRequest { method, target, headers: head.headers };
            // Record the request before the body is read, which may never arrive.
            received.lock().expect("no panic").push(request);
            // If the body is not read, the connection may be closed after the response, while the proxy sends the next
            // request on it.
            let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
            ([(BODY_LENGTH_HEADER, body.len().to_string())], UPSTREAM_BODY)
        }
        let received = Arc::new(Mutex::new(Vec::new()));
        let app = Router::new().fallback(remember).with_state(Arc::clone(&received));
        Self { server: Server::start(wrap(app)).await, received }
    }

    /// The address of the upstream.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// The requests since the last call.
    ///
    /// # Panics
    /// If another thread panicked while it held the lock.
    pub fn take(&self) -> Vec<ReceivedRequest> {
        std::mem::take(&mut *self.received.lock().expect("no panic"))
    }
}

/// Sends these bytes and reads the response. Stops reading after two seconds, because the response to a malformed
/// request may never end.
///
/// # Panics
/// If the connection is refused.
pub async fn send_raw(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    // The server may close the connection before it has read all of a refused request.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let read = async {
        while stream.read_buf(&mut answer).await.is_ok_and(|read| read > 0) {
            if is_whole(&answer) {
                break;
            }
        }
    };
    let _ = timeout(Duration::from_secs(2), read).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Whether a response is as long as its `Content-Length`. Envoy keeps some connections open after the response, so the
/// reader cannot wait for the end of the connection.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.and_then(|length| length.parse().ok()).is_some_and(|length: usize| body.len() >= length)
}
