//! Receives signals over HTTP: pushed security events (RFC 8935) and back-channel logouts. A signal is acknowledged only
//! after its notices are durable.

use crate::issuer::trusted::TrustedIssuer;
use crate::session::store::SessionStore;
use crate::signal::logout_token::{self, LogoutRefusal};
use crate::signal::security_event_token::{self, Events, TokenRefusal};
use crate::signal::transmitter::ConnectedTransmitter;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The longest body of a signal, in bytes.
pub(crate) const LONGEST_SIGNAL: usize = 64 * 1024;

/// The paths of the routes: for security events, and for logouts.
pub(crate) const SIGNAL_PATHS: [&str; 2] = ["/signals/events", "/signals/logout"];

/// Receives signals.
#[derive(Debug)]
pub(crate) struct SignalReceiver {
    pub(crate) transmitters: Vec<ConnectedTransmitter>,
    /// The clients whose logouts are received.
    pub(crate) logout_audiences: Vec<String>,
    /// How many events could not be used.
    pub(crate) unreadable: AtomicU64,
    /// Whether the routes were created.
    pub(crate) mounted: AtomicBool,
}

impl SignalReceiver {
    /// Receives a pushed security event token (RFC 8935 §2). 202 after it is durable.
    pub(crate) async fn receive_event(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        sessions: &SessionStore,
        now: u64,
    ) -> Response<String> {
        let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type =
            media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        // Some transmitters use the type of any JWT.
        let known = ["application/secevent+jwt", "application/jwt"];
        if !known.iter().any(|known| media_type.eq_ignore_ascii_case(known)) {
            return event_error(
                "invalid_request",
                "the content type is not application/secevent+jwt",
            );
        }
        let authorization = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let authorized = |expected: &str| {
            verify_slices_are_equal(authorization.unwrap_or_default(), expected.as_bytes()).is_ok()
        };
        let mut required = self.transmitters.iter().map(|known| &known.options.push_authorization);
        if !required.any(|required| required.as_deref().is_none_or(authorized)) {
            return event_error("authentication_failed", "the Authorization header is wrong");
        }
        let Some(token) = std::str::from_utf8(body).ok().map(str::trim) else {
            return event_error("invalid_request", "the body is not a JWT");
        };
        // Each transmitter has its own authorization.
        let authorized = self
            .transmitters
            .iter()
            .filter(|known| known.options.push_authorization.as_deref().is_none_or(authorized));
        let subject_of_email =
            |issuer: &str, email: &str| sessions.directory.subject_of_email(issuer, email);
        match security_event_token::read(token, authorized, &subject_of_email).await {
            Ok(events) => self.accept(events, sessions, now).await,
            Err(TokenRefusal::Invalid(reason)) => event_error("invalid_request", reason),
            Err(TokenRefusal::Issuer) => {
                event_error("invalid_issuer", "the issuer is not a transmitter of this API")
            }
            Err(TokenRefusal::Audience) => {
                event_error("invalid_audience", "the audience is not this API alone")
            }
            Err(TokenRefusal::Key) => {
                event_error("invalid_key", "no key of the transmitter has signed the token")
            }
            Err(TokenRefusal::Unavailable) => unavailable(),
        }
    }

    async fn accept(&self, events: Events, sessions: &SessionStore, now: u64) -> Response<String> {
        for (event, reason) in &events.unreadable {
            self.unreadable.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(event, reason, "a security event has no effect");
        }
        if !events.notices.is_empty() && sessions.append(events.notices, now).await.is_err() {
            return unavailable();
        }
        let mut response = Response::new(String::new());
        *response.status_mut() = StatusCode::ACCEPTED;
        response
    }

    /// Receives a logout token as the form field `logout_token` (OpenID Connect Back-Channel Logout 1.0 §2.5). 200 after it
    /// is durable.
    pub(crate) async fn receive_logout(
        &self,
        body: &[u8],
        issuers: &[Arc<TrustedIssuer>],
        sessions: &SessionStore,
        now: u64,
    ) -> Response<String> {
        let mut fields = form_urlencoded::parse(body).filter(|(name, _)| name == "logout_token");
        let (token, repeated) = (fields.next(), fields.next().is_some());
        let Some((_, token)) = token.filter(|_| !repeated) else {
            return logout_error("the form has no logout_token, or several");
        };
        match logout_token::read(&token, issuers, &self.logout_audiences, now).await {
            Ok(notice) => match sessions.append(vec![notice], now).await {
                Ok(()) => uncached(Response::new(String::new())),
                Err(_) => uncached(unavailable()),
            },
            Err(LogoutRefusal::Invalid(reason)) => {
                tracing::warn!(reason, "a logout token was refused");
                logout_error(reason)
            }
            Err(LogoutRefusal::Unavailable) => uncached(unavailable()),
        }
    }
}

fn event_error(code: &str, description: &str) -> Response<String> {
    tracing::warn!(code, description, "a security event token was refused");
    json_response(StatusCode::BAD_REQUEST, &json!({"err": code, "description": description}))
}

fn logout_error(description: &str) -> Response<String> {
    let body = json!({"error": "invalid_request", "error_description": description});
    uncached(json_response(StatusCode::BAD_REQUEST, &body))
}

fn json_response(status: StatusCode, body: &serde_json::Value) -> Response<String> {
    let mut response = Response::new(body.to_string());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The signal is not acknowledged, so that its sender repeats it.
fn unavailable() -> Response<String> {
    let mut response = Response::new(String::new());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn uncached(mut response: Response<String>) -> Response<String> {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
