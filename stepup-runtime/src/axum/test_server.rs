//! A small HTTP server for the test issuer.

use axum::Router;
use axum::body::{Body, Bytes};
use http::request::Parts;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Answers a request.
pub(crate) type Responder = Arc<dyn Fn(&Parts, &[u8]) -> http::Response<String> + Send + Sync>;

/// Serves until the task is aborted.
pub(crate) async fn serve(listener: TcpListener, responder: Responder) {
    let respond = move |parts: Parts, body: Bytes| {
        let response = responder(&parts, &body).map(Body::from);
        async move { response }
    };
    // This error ends the task, and the issuer's clients notice.
    let _ = axum::serve(listener, Router::new().fallback(respond)).await;
}
