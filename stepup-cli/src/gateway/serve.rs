//! Listeners with limits, that finish what was asked before they stop.

use crate::failure::Failure;
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
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio_io_timeout::TimeoutStream;

/// Answers with text.
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

/// What one listener allows its clients, beside the hundred header fields that hyper allows in HTTP/1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of headers of a request. Twice as many are read, for a refusal that says so.
    pub(crate) header_bytes: u32,
    /// Connections at once; further ones wait.
    pub(crate) connections: usize,
}

/// How long a client may take for a request's headers.
const HEADER_TIME: Duration = Duration::from_secs(15);

/// How often a silent HTTP/2 connection is asked whether it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How long an HTTP/2 connection may say nothing: one that is alive answers that question, and one that does not
/// even begin is asked none.
const SILENCE: Duration = Duration::from_secs(30);

/// The most questions at once on one HTTP/2 connection, of which a gateway has few.
const STREAMS: u32 = 1024;

/// How many questions may be taken back before they are looked at. A gateway takes back what its clients break off,
/// so that it is no sign of an attack by the gateway itself, whose connection others need.
const TAKEN_BACK: usize = 8 * 1024;

/// What is spoken on a listener. Finding it out would give a client that says nothing all the time it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// A port that is had, and does not answer yet.
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
        let listener = listener.map_err(|why| Failure::Listen { address, why })?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, protocol, limits })
    }

    /// Serves until it is asked to stop, and then answers what was asked.
    pub(crate) async fn serve<S, B>(self, service: S, mut stop: Stop)
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
            // The gateway that asks sends its client a date of its own.
            .auto_date_header(false)
            // Answers are small: one piece is written in less time than several.
            .writev(false)
            .max_buf_size(usize::try_from(bytes).unwrap_or(usize::MAX));
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE)
            .max_header_list_size(bytes)
            .max_concurrent_streams(STREAMS)
            .max_pending_accept_reset_streams(TAKEN_BACK);
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
                        // Out of file descriptors, mostly; trying on at once would take all time.
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
                () = stop.wait() => break,
            };
            // Without it an answer may wait for the client's acknowledgement.
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

/// Holds a place among the connections until this one ends.
fn spawn<E: Display>(
    connection: impl Future<Output = Result<(), E>> + Send + 'static,
    permit: impl Send + 'static,
) {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended badly");
        }
        drop(permit);
    });
}

/// The wish that everything stop.
#[derive(Debug, Clone)]
pub(crate) struct Stop(Option<watch::Receiver<bool>>);

impl Stop {
    /// Does not come.
    pub(crate) fn never() -> Self {
        Self(None)
    }

    /// Comes with the first SIGTERM or SIGINT.
    pub(crate) fn on_signals() -> Result<Self, Failure> {
        let (sender, receiver) = watch::channel(false);
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            // Nobody waits any more when this fails.
            let _ = sender.send(true);
        });
        Ok(Self(Some(receiver)))
    }

    /// The same wish, so much later.
    pub(crate) fn later(&self, time: Duration) -> Self {
        let (sender, receiver) = watch::channel(false);
        let mut asked = self.clone();
        tokio::spawn(async move {
            asked.wait().await;
            tokio::time::sleep(time).await;
            // Nobody waits any more when this fails.
            let _ = sender.send(true);
        });
        Self(Some(receiver))
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.0.as_ref().is_some_and(|asked| *asked.borrow())
    }

    /// Ends when it is asked.
    pub(crate) async fn wait(&mut self) {
        match &mut self.0 {
            // Without a sender nothing could ask any more, which is as good as asked.
            Some(asked) => drop(asked.wait_for(|asked| *asked).await),
            None => std::future::pending().await,
        }
    }
}
