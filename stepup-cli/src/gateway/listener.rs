//! Listeners with limits on connections, headers and time. A listener finishes running checks before it stops.

use crate::gateway::shutdown::Shutdown;
use crate::report::failure::Failure;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::error::Error;
use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

/// A service that answers with text.
pub(crate) trait TextService:
    Service<
        Request<Incoming>,
        Response = Response<String>,
        Error = Infallible,
        Future: Send + 'static,
    > + Clone
    + Send
    + 'static
{
}

impl<S> TextService for S where
    S: Service<
            Request<Incoming>,
            Response = Response<String>,
            Error = Infallible,
            Future: Send + 'static,
        > + Clone
        + Send
        + 'static
{
}

/// The limits of one listener. hyper also limits HTTP/1 requests to a hundred headers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Header bytes of a request. Twice as many are read, so that the refusal can state the limit.
    pub(crate) header_bytes: u32,
    /// Concurrent connections; further ones wait.
    pub(crate) connections: usize,
}

/// The time limit for a request's headers.
const HEADER_TIME: Duration = Duration::from_secs(15);

/// The interval of pings on a silent HTTP/2 connection.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How long an HTTP/2 connection may be silent. A live connection answers pings; a connection that never starts gets
/// none.
const SILENCE: Duration = Duration::from_secs(30);

/// The most concurrent checks on one HTTP/2 connection. A gateway opens few connections.
const STREAMS: u32 = 1024;

/// How many checks may be cancelled before they are processed. A gateway cancels checks when its clients disconnect,
/// which is not an attack; other clients need the connection.
const CANCELLED: usize = 8 * 1024;

/// The protocol of a listener. It is fixed: detecting the protocol would allow silent clients to wait forever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// A bound port that does not answer yet.
pub(crate) struct Listener {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
    protocol: Protocol,
    limits: Limits,
}

impl Listener {
    pub(crate) async fn bind(
        address: SocketAddr,
        protocol: Protocol,
        limits: Limits,
    ) -> Result<Self, Failure> {
        let listener = TcpListener::bind(address).await;
        let listener = listener
            .map_err(|error| Failure::Usage(format!("cannot listen on {address}: {error}")))?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, protocol, limits })
    }

    /// Serves until the shutdown signal, and then finishes the running checks.
    pub(crate) async fn serve<S, B>(self, service: S, mut shutdown: Shutdown)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send + 'static,
        B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let bytes = self.limits.header_bytes.saturating_mul(2);
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIME)
            // The proxy sets its own `Date` header on the response to the client.
            .auto_date_header(false)
            // Responses are small: one write is faster than a vectored one.
            .writev(false)
            .max_buf_size(usize::try_from(bytes).unwrap_or(usize::MAX));
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE)
            .max_header_list_size(bytes)
            .max_concurrent_streams(STREAMS)
            .max_pending_accept_reset_streams(CANCELLED);
        let connections = Arc::new(Semaphore::new(self.limits.connections));
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = async {
                let permit = Arc::clone(&connections).acquire_owned().await;
                (permit, self.listener.accept().await)
            };
            let (permit, stream) = tokio::select! {
                (permit, accepted) = accepted => match accepted {
                    Ok((stream, _)) => (permit, stream),
                    Err(error) => {
                        // Usually the process has run out of file descriptors; an immediate retry would use all CPU
                        // time.
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
                () = shutdown.wait() => break,
            };
            // Otherwise a response may wait for the client's acknowledgement.
            let _ = stream.set_nodelay(true);
            match self.protocol {
                Protocol::Http1 => {
                    let connection = http1.serve_connection(TokioIo::new(stream), service.clone());
                    spawn(graceful.watch(connection), permit);
                }
                Protocol::Http2 => {
                    let mut stream = TimeoutStream::new(stream);
                    stream.set_read_timeout(Some(SILENCE));
                    let stream = TokioIo::new(Box::pin(stream));
                    spawn(graceful.watch(http2.serve_connection(stream, service.clone())), permit);
                }
            }
        }
        drop(self.listener);
        graceful.shutdown().await;
    }
}

/// Runs a connection, and releases its permit when it ends.
fn spawn<E: Display>(
    connection: impl Future<Output = Result<(), E>> + Send + 'static,
    permit: impl Send + 'static,
) {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended with an error");
        }
        drop(permit);
    });
}
