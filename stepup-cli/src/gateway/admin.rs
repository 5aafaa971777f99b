//! The endpoints for operators: liveness, readiness and metrics.

use crate::gateway::listener::TextService;
use crate::gateway::metrics::Metrics;
use crate::gateway::shutdown::Shutdown;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves `/livez`, `/readyz` and `/metrics`. The process is ready from its start, when it has a contract and the keys
/// of every issuer that is not lazy, until the shutdown signal.
pub(crate) fn service(metrics: Arc<Metrics>, shutdown: Shutdown) -> impl TextService {
    service_fn(move |request: Request<Incoming>| {
        let (status, text, kind) = match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/livez") => (StatusCode::OK, "alive\n".into(), None),
            (&Method::GET | &Method::HEAD, "/readyz") if shutdown.has_arrived() => {
                (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".into(), None)
            }
            (&Method::GET | &Method::HEAD, "/readyz") => (StatusCode::OK, "ready\n".into(), None),
            (&Method::GET | &Method::HEAD, "/metrics") => {
                (StatusCode::OK, metrics.text(), Some(OPEN_METRICS))
            }
            _ => (StatusCode::NOT_FOUND, "/livez, /readyz, /metrics\n".into(), None),
        };
        let mut response = Response::new(text);
        *response.status_mut() = status;
        let kind = HeaderValue::from_static(kind.unwrap_or("text/plain; charset=utf-8"));
        response.headers_mut().insert(CONTENT_TYPE, kind);
        ready(Ok::<_, Infallible>(response))
    })
}
