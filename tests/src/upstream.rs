//! A plain upstream that tells what reaches it, and requests to it byte by byte.

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

/// A request as it has reached the upstream.
#[derive(Debug, Clone)]
pub struct Reached {
    /// The method.
    pub method: String,
    /// The target as it was sent.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
}

/// A plain upstream, which answers everything with [`REACHED`] and remembers it.
#[derive(Debug)]
pub struct Upstream {
    server: Server,
    reached: Arc<Mutex<Vec<Reached>>>,
}

/// What the upstream says.
pub const REACHED: &str = "the upstream was reached";

/// The header in which it says how long the body was that has reached it.
pub const REACHED_BYTES: &str = "reached-bytes";

impl Upstream {
    /// Starts one on a free port.
    pub async fn start() -> Self {
        Self::behind(|app| app).await
    }

    /// Starts one behind something in the same process.
    pub async fn behind(wrap: impl FnOnce(Router) -> Router) -> Self {
        async fn remember(
            State(reached): State<Arc<Mutex<Vec<Reached>>>>,
            request: Request<Body>,
        ) -> ([(&'static str, String); 1], &'static str) {
            let (head, body) = request.into_parts();
            let (method, target) = (head.method.to_string(), head.uri.to_string());
            let seen = Reached { method, target, headers: head.headers };
            // It has been reached, whether or not a body follows.
            reached.lock().expect("no panic").push(seen);
            // One that is not read may have the connection closed after the answer, while the gateway is using it
            // again.
            let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
            ([(REACHED_BYTES, body.len().to_string())], REACHED)
        }
        let reached = Arc::new(Mutex::new(Vec::new()));
        let app = Router::new().fallback(remember).with_state(Arc::clone(&reached));
        Self { server: Server::start(wrap(app)).await, reached }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// What has reached it since it was asked last.
    ///
    /// # Panics
    /// When another test thread has.
    pub fn take(&self) -> Vec<Reached> {
        std::mem::take(&mut *self.reached.lock().expect("no panic"))
    }
}

/// Sends a request as it is written and reads the answer; that to one which cannot be read may never come to
/// its end, and is left after two seconds.
///
/// # Panics
/// When nobody listens there.
pub async fn raw(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    // One that is refused at once may be closed before all of it is written.
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

/// Whether an answer says how long it is and is that long. Envoy keeps a connection for a while that it does
/// not go on with.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.and_then(|length| length.parse().ok()).is_some_and(|length: usize| body.len() >= length)
}
