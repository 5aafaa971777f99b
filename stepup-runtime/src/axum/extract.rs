//! The extractor for the caller of a guarded handler.

use crate::enforcement::outcome::refuse_unguarded;
use crate::enforcement::principal::{AuthorizedPrincipal, Principal};
use crate::refusal::Refusal;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;

impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        if let Some(AuthorizedPrincipal(principal)) = parts.extensions.get() {
            return Ok(principal.clone());
        }
        tracing::error!(
            uri = %parts.uri.path(),
            "a handler takes a Principal but has no guard; put #[step_up(trust = \"standard\")] on it, or what it \
             requires"
        );
        Err(refuse_unguarded())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.to_response().map(Body::from)
    }
}
