//! The listener for signals of identity providers: security events and logouts.

use crate::gateway::listener::TextService;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use std::convert::Infallible;
use std::time::Duration;
use stepup_runtime::StepUp;
use tokio::time::timeout;

/// The longest body, in bytes.
const LONGEST: usize = 64 * 1024;

/// The time limit for a body.
const BODY_TIME: Duration = Duration::from_secs(15);

/// Serves `POST /signals/events` (RFC 8935) and `POST /signals/logout` (OpenID Connect Back-Channel Logout).
pub(crate) fn service(step_up: StepUp) -> impl TextService {
    service_fn(move |request: Request<Incoming>| {
        let step_up = step_up.clone();
        async move { Ok::<_, Infallible>(respond(&step_up, request).await) }
    })
}

async fn respond(step_up: &StepUp, request: Request<Incoming>) -> Response<String> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if !["/signals/events", "/signals/logout"].contains(&path) {
        return status(StatusCode::NOT_FOUND, "/signals/events, /signals/logout\n");
    }
    if head.method != Method::POST {
        return status(StatusCode::METHOD_NOT_ALLOWED, "use POST\n");
    }
    let body = match timeout(BODY_TIME, read(body)).await {
        Ok(Ok(body)) => body,
        Ok(Err(code)) => return status(code, ""),
        Err(_) => return status(StatusCode::REQUEST_TIMEOUT, ""),
    };
    match path {
        "/signals/events" => step_up.receive_event(&head.headers, &body).await,
        _ => step_up.receive_logout(&body).await,
    }
}

/// Reads a body up to the limit.
async fn read(body: Incoming) -> Result<Bytes, StatusCode> {
    let collected = Limited::new(body, LONGEST).collect().await;
    let collected = collected.map_err(|error| match error.is::<LengthLimitError>() {
        true => StatusCode::PAYLOAD_TOO_LARGE,
        false => StatusCode::BAD_REQUEST,
    });
    Ok(collected?.to_bytes())
}

fn status(code: StatusCode, text: &str) -> Response<String> {
    let mut response = Response::new(text.to_owned());
    *response.status_mut() = code;
    response
}
