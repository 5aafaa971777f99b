//! An issuer's discovery document (OpenID Connect Discovery §3, RFC 8414 §2).

use crate::support::http_client::{FetchError, Fetched, checked_url, fetch};
use reqwest::Client;
use serde_json::{Map, Value};
use stepup_contract::{Published, StrictJsonError, parse_strict};
use thiserror::Error;

/// The parts of an issuer's discovery document that are used here.
#[derive(Debug, Clone)]
pub(crate) struct Metadata {
    pub(crate) jwks_uri: String,
    pub(crate) introspection_endpoint: Option<String>,
    /// The capabilities that the issuer states.
    pub(crate) published: Published,
}

/// Why a discovery document cannot be used.
#[derive(Debug, Error)]
pub(crate) enum DiscoveryError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("{url} has no content")]
    Empty { url: String },
    #[error("{url} is not valid JSON")]
    NotJson { url: String, source: StrictJsonError },
    #[error("{url} is not a JSON object")]
    NotAnObject { url: String },
    #[error("{url} has no `{member}`")]
    Missing { url: String, member: &'static str },
    #[error(
        "{url} names the issuer {named:?}, not {expected:?}; give Issuer::new (--issuer) the exact name"
    )]
    OtherIssuer { url: String, named: String, expected: String },
}

/// Fetches the document of this issuer, which must name exactly this issuer (OpenID Connect Discovery §4.3, RFC 8414
/// §3.3). If there is no usable document at the OpenID Connect address, the address of RFC 8414 is tried.
pub(crate) async fn discover(client: &Client, issuer: &str) -> Result<Metadata, DiscoveryError> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let first = match fetch(client, &url, None).await {
        Ok(fetched) => read(fetched, &url, issuer),
        // The issuer responds, so the other address is worth a try. An issuer that is down is not asked twice.
        Err(error @ (FetchError::Status { .. } | FetchError::TooLong(_))) => Err(error.into()),
        Err(error) => return Err(error.into()),
    };
    // A document that names another issuer is a mistake in the configuration, not a missing document.
    let error = match first {
        Ok(metadata) => return Ok(metadata),
        Err(error @ DiscoveryError::OtherIssuer { .. }) => return Err(error),
        Err(error) => error,
    };
    let mut url = checked_url(issuer)?;
    let path = format!("/.well-known/oauth-authorization-server{}", url.path());
    url.set_path(path.trim_end_matches('/'));
    let second = match fetch(client, url.as_str(), None).await {
        Ok(fetched) => read(fetched, url.as_str(), issuer),
        Err(fetch_error) => Err(fetch_error.into()),
    };
    second.map_err(|second| match second {
        // The first error describes the address that most issuers have.
        DiscoveryError::Fetch(FetchError::Status { status: 404, .. }) => error,
        second => second,
    })
}

fn read(fetched: Fetched, url: &str, issuer: &str) -> Result<Metadata, DiscoveryError> {
    let url = || url.to_owned();
    let Fetched::Document { body, .. } = fetched else {
        return Err(DiscoveryError::Empty { url: url() });
    };
    let document = match parse_strict(&body) {
        Ok(Value::Object(document)) => document,
        Ok(_) => return Err(DiscoveryError::NotAnObject { url: url() }),
        Err(source) => return Err(DiscoveryError::NotJson { url: url(), source }),
    };
    let text = |member| {
        let text = document.get(member).and_then(Value::as_str);
        text.ok_or_else(|| DiscoveryError::Missing { url: url(), member })
    };
    let named = text("issuer")?;
    if named != issuer {
        let (named, expected) = (named.to_owned(), issuer.to_owned());
        return Err(DiscoveryError::OtherIssuer { url: url(), named, expected });
    }
    Ok(Metadata {
        jwks_uri: text("jwks_uri")?.to_owned(),
        introspection_endpoint: text("introspection_endpoint").ok().map(str::to_owned),
        published: published(&document),
    })
}

fn published(document: &Map<String, Value>) -> Published {
    let list = |name: &str| {
        let list = document.get(name)?.as_array()?;
        Some(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    };
    Published {
        acr_values: list("acr_values_supported"),
        claims: list("claims_supported"),
        signing_algorithms: list("id_token_signing_alg_values_supported"),
        dpop_algorithms: list("dpop_signing_alg_values_supported"),
        backchannel_logout: document.get("backchannel_logout_supported")
            == Some(&Value::Bool(true)),
    }
}
