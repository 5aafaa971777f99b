//! The HTTP response to a refusal.

use super::Refusal;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
};
use http::{HeaderValue, Response, StatusCode};

impl Refusal {
    /// The whole response: status, headers, and the problem body as text.
    pub fn to_response(&self) -> Response<String> {
        let mut response = Response::new(self.problem());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("WWW-Authenticate"));
        if let Some(Ok(nonce)) = self.dpop_nonce().map(HeaderValue::from_str) {
            headers.insert("dpop-nonce", nonce);
            let exposed = HeaderValue::from_static("WWW-Authenticate, DPoP-Nonce");
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
        if let Some(origin) = &self.allowed_origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::clone(origin));
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            headers.insert(VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        match self.www_authenticate().map(HeaderValue::try_from) {
            None => {}
            Some(Ok(value)) => {
                headers.insert(WWW_AUTHENTICATE, value);
            }
            // Unreachable for configured values, which are checked at start.
            Some(Err(error)) => {
                tracing::error!(%error, "a challenge cannot be written as a header");
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            }
        }
        response
    }
}
