//! What an issuer says of itself: its discovery document (OpenID Connect Discovery §3, RFC 8414 §2).

use crate::http_client::{FetchError, Fetched, checked_url, fetch};
use crate::keys::KeysError;
use reqwest::Client;
use serde_json::{Map, Value};
use stepup_contract::{Published, parse_strict};

/// An issuer's discovery document, as far as it is of use here.
#[derive(Debug, Clone)]
pub(crate) struct Metadata {
    pub(crate) jwks_uri: String,
    pub(crate) introspection_endpoint: Option<String>,
    /// What the issuer says that it can do.
    pub(crate) published: Published,
}

/// Fetches the document of this issuer, which must name this very issuer (OpenID Connect Discovery
/// §4.3, RFC 8414 §3.3). An issuer that has none where OpenID Connect puts it may have one where
/// RFC 8414 does.
pub(crate) async fn discover(client: &Client, issuer: &str) -> Result<Metadata, KeysError> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    match fetch(client, &url, None).await {
        Err(FetchError::Status { status: 404, .. }) => {
            let mut url = checked_url(issuer)?;
            let path = format!("/.well-known/oauth-authorization-server{}", url.path());
            url.set_path(path.trim_end_matches('/'));
            read(fetch(client, url.as_str(), None).await?, url.as_str(), issuer)
        }
        outcome => read(outcome?, &url, issuer),
    }
}

fn read(fetched: Fetched, url: &str, issuer: &str) -> Result<Metadata, KeysError> {
    let wrong = |why: String| KeysError::Document { url: url.to_owned(), why };
    let Fetched::Document { body, .. } = fetched else {
        return Err(wrong("was not sent".into()));
    };
    let Value::Object(document) = parse_strict(&body).map_err(|why| wrong(why.to_string()))? else {
        return Err(wrong("is no JSON object".into()));
    };
    let field = |name| document.get(name).and_then(Value::as_str);
    match field("issuer") {
        Some(named) if named == issuer => {}
        Some(other) => {
            return Err(wrong(format!(
                "names the issuer {other:?}, not {issuer:?}; give Issuer::new (--issuer) the exact name"
            )));
        }
        None => return Err(wrong("names no `issuer`".into())),
    }
    let jwks_uri = field("jwks_uri").ok_or_else(|| wrong("names no `jwks_uri`".into()))?;
    Ok(Metadata {
        jwks_uri: jwks_uri.to_owned(),
        introspection_endpoint: field("introspection_endpoint").map(str::to_owned),
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
    }
}
