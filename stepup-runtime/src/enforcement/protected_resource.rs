//! This API as an OAuth protected resource (RFC 9728): its identifier, and the addresses of its metadata and
//! contract.

use crate::support::http_client::checked_url;
use reqwest::Url;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use stepup_contract::check_value;
use thiserror::Error;

/// This API, as its clients address it.
#[derive(Debug)]
pub(crate) struct ProtectedResource {
    /// Its identifier: scheme, host, port, and a path if it has one.
    pub(crate) identifier: String,
    pub(crate) metadata: WellKnown,
    pub(crate) contract: WellKnown,
    /// Whether the program serves the metadata.
    published: AtomicBool,
}

/// A document at a well-known address.
#[derive(Debug)]
pub(crate) struct WellKnown {
    pub(crate) url: Arc<str>,
    pub(crate) path: String,
}

/// Why a text does not identify an API.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ResourceError {
    /// Not an absolute URL with a host.
    #[error("{0:?} is not a URL with a host; write it like \"https://api.bank.example\"")]
    NoUrl(String),
    /// A query or a fragment (RFC 9728 §1.2).
    #[error("{0:?} has a query or a fragment; remove it")]
    QueryOrFragment(String),
    /// A path segment that starts with `:` or `*`, which cannot be routed.
    #[error("{0:?} has a segment that starts with `:` or `*`, which cannot be routed")]
    Path(String),
    /// Neither https nor on loopback.
    #[error("{0:?} is not https; only loopback addresses may be http")]
    NotHttps(String),
}

impl ProtectedResource {
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
        if checked_url(text).is_err() {
            return Err(ResourceError::NotHttps(text.to_owned()));
        }
        // RFC 9728 §3.1: the well-known part is between the host and the path.
        let suffix = url.path().trim_end_matches('/');
        let well_known = |name: &str| {
            let path = format!("/.well-known/{name}{suffix}");
            let mut url = url.clone();
            url.set_path(&path);
            WellKnown { url: url.as_str().into(), path }
        };
        Ok(Self {
            identifier: text.to_owned(),
            metadata: well_known("oauth-protected-resource"),
            contract: well_known("step-up-contract"),
            published: AtomicBool::new(false),
        })
    }

    /// Records that the program serves the metadata.
    pub(crate) fn publish(&self) {
        self.published.store(true, Ordering::Release);
    }

    /// The address of the metadata, if the program serves it.
    pub(crate) fn published_url(&self) -> Option<Arc<str>> {
        self.published.load(Ordering::Acquire).then(|| Arc::clone(&self.metadata.url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_part_is_between_host_and_path() {
        let resource = ProtectedResource::new("https://api.example/v1").unwrap();
        assert_eq!(
            &*resource.metadata.url,
            "https://api.example/.well-known/oauth-protected-resource/v1"
        );
        let resource = ProtectedResource::new("https://api.example").unwrap();
        assert_eq!(resource.metadata.path, "/.well-known/oauth-protected-resource");
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
            assert!(ProtectedResource::new(text).is_err(), "{text}");
        }
        assert!(ProtectedResource::new("http://localhost:8080").is_ok());
    }
}
