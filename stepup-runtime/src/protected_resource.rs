//! What this API says of itself: its metadata as an OAuth protected resource (RFC 9728), and its
//! contract where the operator publishes it.

use crate::dpop::algorithms;
use crate::step_up::StepUp;
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use reqwest::Url;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use stepup_contract::{Contract, check_value};
use thiserror::Error;

/// This API, as its clients address it.
#[derive(Debug)]
pub(crate) struct Resource {
    /// Its identifier: scheme, host, port, and a path where it has one.
    pub(crate) identifier: String,
    metadata_url: Arc<str>,
    metadata_path: String,
    contract_url: String,
    contract_path: String,
    published: AtomicBool,
}

/// Why a text does not identify an API.
#[derive(Debug, Error)]
pub enum ResourceError {
    /// It is no absolute URL with a host.
    #[error("{0:?} is no URL with a host; write it like \"https://api.bank.example\"")]
    NoUrl(String),
    /// It has a query or a fragment (RFC 9728 §1.2).
    #[error("{0:?} has a query or a fragment; leave it out")]
    QueryOrFragment(String),
    /// A segment of its path begins with `:` or `*`, at which nothing can be served.
    #[error("{0:?} has a segment that begins with `:` or `*`; nothing can be served there")]
    Path(String),
    /// It is neither https nor on loopback.
    #[error("{0:?} is not https; only loopback addresses may be http")]
    NotHttps(String),
}

impl Resource {
    pub(crate) fn new(text: &str) -> Result<Self, ResourceError> {
        let no_url = || ResourceError::NoUrl(text.to_owned());
        let url = Url::parse(text).map_err(|_| no_url())?;
        if !url.has_host() || url.cannot_be_a_base() || check_value(text).is_err() {
            return Err(no_url());
        }
        if url.path().contains("/:") || url.path().contains("/*") {
            return Err(ResourceError::Path(text.to_owned()));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(ResourceError::QueryOrFragment(text.to_owned()));
        }
        if crate::http_client::checked_url(text).is_err() {
            return Err(ResourceError::NotHttps(text.to_owned()));
        }
        // RFC 9728 §3.1: between the host and the path.
        let path = url.path().trim_end_matches('/');
        let at = |name: &str| {
            let path = format!("/.well-known/{name}{path}");
            let mut url = url.clone();
            url.set_path(&path);
            (url.to_string(), path)
        };
        let (metadata_url, metadata_path) = at("oauth-protected-resource");
        let (contract_url, contract_path) = at("step-up-contract");
        Ok(Self {
            identifier: text.to_owned(),
            metadata_url: metadata_url.into(),
            metadata_path,
            contract_url,
            contract_path,
            published: AtomicBool::new(false),
        })
    }
}

impl StepUp {
    /// Routes that serve this API's metadata (RFC 9728) at `/.well-known/oauth-protected-resource`,
    /// and its contract where [`Builder::publish_contract`](crate::Builder::publish_contract) says
    /// so, with its digest as `ETag`. Merge them at the root of the server. From then on challenges
    /// tell where the metadata is.
    ///
    /// # Panics
    /// When the builder was not told the [`resource`](crate::Builder::resource).
    pub fn metadata_routes<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        #[expect(clippy::panic, reason = "a mistake in the program, at its start")]
        let Some(resource) = &self.0.resource else {
            panic!(
                "metadata_routes() needs the API's address; say \
                 StepUp::builder().resource(\"https://api.example\")"
            );
        };
        resource.published.store(true, Ordering::Release);
        let contract = self.contract().filter(|_| self.0.publish_contract);
        let metadata: Arc<str> = self.metadata(resource, contract).into();
        let router = Router::new().route(
            &resource.metadata_path,
            get(move || {
                let body = metadata.to_string();
                async move { document(&body, "public, max-age=300", None) }
            }),
        );
        let Some(contract) = contract else { return router };
        let (body, tag) = (contract.to_json(), format!("\"{}\"", contract.digest()));
        let serve = move |headers: HeaderMap| {
            let fresh = is_tagged(&headers, &tag);
            let body = if fresh { String::new() } else { body.clone() };
            let mut response = document(&body, "no-cache", HeaderValue::try_from(&tag).ok());
            if fresh {
                *response.status_mut() = StatusCode::NOT_MODIFIED;
            }
            async move { response }
        };
        router.route(&resource.contract_path, get(serve))
    }

    /// Where clients find the metadata, if they do.
    pub(crate) fn metadata_url(&self) -> Option<Arc<str>> {
        let published = || {
            let resource = self.0.resource.as_ref()?;
            let published = resource.published.load(Ordering::Acquire);
            published.then(|| Arc::clone(&resource.metadata_url))
        };
        self.0.resource_metadata.clone().or_else(published)
    }

    fn metadata(&self, resource: &Resource, contract: Option<&Contract>) -> String {
        let issuers = &self.0.tokens.issuers;
        let names: Vec<&str> = issuers.iter().map(|issuer| issuer.name.as_str()).collect();
        let endpoints = self.contract().into_iter().flat_map(Contract::endpoints);
        let mut scopes: Vec<&str> = endpoints
            .flat_map(|endpoint| endpoint.requirement.scopes.iter().map(String::as_str))
            .collect();
        scopes.sort_unstable();
        scopes.dedup();
        let algorithms = algorithms();
        let mut metadata = json!({
            "resource": resource.identifier,
            "authorization_servers": names,
            "bearer_methods_supported": ["header"],
            "dpop_signing_alg_values_supported": algorithms.split(' ').collect::<Vec<_>>(),
            "dpop_bound_access_tokens_required": issuers.iter().all(|issuer| issuer.dpop_required),
        });
        if !scopes.is_empty() {
            metadata["scopes_supported"] = scopes.into();
        }
        if contract.is_some() {
            metadata["step_up_contract"] = resource.contract_url.as_str().into();
        }
        metadata.to_string()
    }
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

/// Whether the client has the document with this tag already (RFC 9110 §13.1.2).
fn is_tagged(headers: &HeaderMap, tag: &str) -> bool {
    headers.get_all(IF_NONE_MATCH).iter().any(|value| {
        let mut known = value.to_str().unwrap_or_default().split(',').map(str::trim);
        known.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_path_stands_between_host_and_path() {
        let resource = Resource::new("https://api.example/v1").unwrap();
        assert_eq!(
            &*resource.metadata_url,
            "https://api.example/.well-known/oauth-protected-resource/v1"
        );
        let resource = Resource::new("https://api.example").unwrap();
        assert_eq!(resource.metadata_path, "/.well-known/oauth-protected-resource");
    }

    #[test]
    fn only_an_address_without_query_and_fragment_identifies_an_api() {
        for text in [
            "api.example",
            "urn:api",
            "https://a/?x",
            "https://a/#x",
            "http://a.example",
            "https://a/:x",
        ] {
            assert!(Resource::new(text).is_err(), "{text}");
        }
        assert!(Resource::new("http://localhost:8080").is_ok());
    }
}
