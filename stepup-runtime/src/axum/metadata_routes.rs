//! The routes that serve this API's metadata (RFC 9728), and its contract if the operator publishes it.

use crate::enforcement::step_up::StepUp;
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use std::sync::Arc;

impl StepUp {
    /// Routes that serve this API's metadata (RFC 9728) at `/.well-known/oauth-protected-resource`, and its contract if
    /// [`Builder::publish_contract`](crate::Builder::publish_contract) allows it, with its digest as `ETag`. Merge them
    /// at the root of the server. From then on challenges contain the address of the metadata.
    ///
    /// # Panics
    /// If the builder has no [`resource`](crate::Builder::resource).
    pub fn metadata_routes<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        #[expect(clippy::panic, reason = "a mistake in the program, at its start")]
        let Some(resource) = &self.0.resource else {
            panic!(
                "metadata_routes() needs the API's address; call \
                 StepUp::builder().resource(\"https://api.example\")"
            );
        };
        resource.publish();
        let metadata: Arc<str> = self.metadata_document(resource).into();
        let router = Router::new().route(
            &resource.metadata.path,
            with_preflight(get(move || {
                let body = metadata.to_string();
                async move { document(&body, "public, max-age=300", None) }
            })),
        );
        let Some(contract) = self.published_contract() else { return router };
        let (body, tag) = (contract.to_json(), format!("\"{}\"", contract.digest()));
        let serve = move |headers: HeaderMap| {
            let unchanged = has_tag(&headers, &tag);
            let body = if unchanged { String::new() } else { body.clone() };
            let mut response = document(&body, "no-cache", HeaderValue::try_from(&tag).ok());
            if unchanged {
                *response.status_mut() = StatusCode::NOT_MODIFIED;
            }
            async move { response }
        };
        router.route(&resource.contract.path, with_preflight(get(serve)))
    }
}

/// Answers preflights too: a page of any origin may read these documents, with any headers.
fn with_preflight<S: Clone + Send + Sync + 'static>(routes: MethodRouter<S>) -> MethodRouter<S> {
    routes.options(|| async {
        let allowed = [
            (ALLOW, "GET, HEAD, OPTIONS"),
            (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            (ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD"),
            (ACCESS_CONTROL_ALLOW_HEADERS, "*, Authorization"),
            (ACCESS_CONTROL_MAX_AGE, "86400"),
        ];
        (StatusCode::NO_CONTENT, allowed)
    })
}

fn document(body: &str, caching: &'static str, tag: Option<HeaderValue>) -> Response {
    let mut response = body.to_owned().into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if let Some(tag) = tag {
        headers.insert(ETAG, tag);
    }
    response
}

/// Whether the client already has the document with this tag (RFC 9110 §13.1.2).
fn has_tag(headers: &HeaderMap, tag: &str) -> bool {
    headers.get_all(IF_NONE_MATCH).iter().any(|value| {
        let mut known = value.to_str().unwrap_or_default().split(',').map(str::trim);
        known.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
    })
}
