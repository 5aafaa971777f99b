//! HTTP to an issuer: no redirects, no plain HTTP except on loopback, and limits on time and size.

use http::header::{ACCEPT, CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use reqwest::{Certificate, Client, ClientBuilder, RequestBuilder, Response, Url, redirect};
use std::net::IpAddr;
use std::time::Duration;
use thiserror::Error;

/// The longest response body that is read, in bytes.
const MAX_BODY: usize = 512 * 1024;

/// The time limit for one request and its response.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why a request failed.
#[derive(Debug, Error)]
pub(crate) enum FetchError {
    #[error("{0:?} is not a URL")]
    Url(String),
    #[error("{0} is not https; only loopback addresses may be http")]
    NotHttps(Url),
    #[error("{url} could not be fetched")]
    Http { url: Url, source: reqwest::Error },
    #[error("{url} answered {status}")]
    Status { url: Url, status: u16 },
    #[error("{0} is longer than {MAX_BODY} bytes")]
    TooLong(Url),
}

/// The result of a conditional fetch.
#[derive(Debug)]
pub(crate) enum Fetched {
    /// The document, and the entity tag for the next fetch.
    Document { body: Vec<u8>, etag: Option<String>, max_age: Option<Duration> },
    /// The document has not changed.
    NotModified { max_age: Option<Duration> },
}

/// The client for the issuer at this address, which also trusts these certificate authorities (PEM). A loopback address
/// is never reached through a proxy.
pub(crate) fn client(issuer: &str, authorities: &[u8]) -> Result<Client, reqwest::Error> {
    let loopback = Url::parse(issuer).is_ok_and(|url| is_loopback(&url));
    let builder = Client::builder()
        .redirect(redirect::Policy::none())
        .timeout(TIMEOUT)
        .connect_timeout(TIMEOUT)
        .user_agent(concat!("stepup/", env!("CARGO_PKG_VERSION")));
    let builder = if loopback { builder.no_proxy() } else { builder };
    let authorities = Certificate::from_pem_bundle(authorities)?;
    authorities.into_iter().fold(builder, ClientBuilder::add_root_certificate).build()
}

/// Fetches one document, unless it still has this entity tag.
pub(crate) async fn fetch(
    client: &Client,
    url: &str,
    etag: Option<&str>,
) -> Result<Fetched, FetchError> {
    let url = checked_url(url)?;
    let mut request = client.get(url.clone()).header(ACCEPT, "application/json");
    if let Some(etag) = etag {
        request = request.header(IF_NONE_MATCH, etag);
    }
    let response = send(request, &url).await?;
    let max_age = max_age(&response);
    match response.status().as_u16() {
        304 if etag.is_some() => Ok(Fetched::NotModified { max_age }),
        200 => {
            let etag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
            let etag = etag.map(str::to_owned);
            Ok(Fetched::Document { body: read(response, url).await?, etag, max_age })
        }
        status => Err(FetchError::Status { url, status }),
    }
}

/// Sends a request to a URL that [`checked_url`] has accepted.
pub(crate) async fn send(request: RequestBuilder, url: &Url) -> Result<Response, FetchError> {
    request.send().await.map_err(|source| failed(url, source))
}

/// Reads a body up to the limit.
pub(crate) async fn read(mut response: Response, url: Url) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|source| failed(&url, source))? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(FetchError::TooLong(url));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn failed(url: &Url, source: reqwest::Error) -> FetchError {
    FetchError::Http { url: url.clone(), source: source.without_url() }
}

/// How long the response may be kept, if it states that (RFC 9111 §5.2.2).
fn max_age(response: &Response) -> Option<Duration> {
    let mut shortest = None;
    for value in response.headers().get_all(CACHE_CONTROL) {
        for directive in value.to_str().unwrap_or_default().split(',') {
            let (name, value) = directive.trim().split_once('=').unwrap_or((directive.trim(), ""));
            let seconds = match name.to_ascii_lowercase().as_str() {
                "no-store" | "no-cache" => Some(0),
                "max-age" => value.trim_matches('"').parse().ok(),
                _ => None,
            };
            if let Some(age) = seconds.map(Duration::from_secs) {
                shortest = Some(shortest.map_or(age, |known: Duration| known.min(age)));
            }
        }
    }
    shortest
}

/// Parses a URL that this program may connect to: https, or http on loopback.
pub(crate) fn checked_url(text: &str) -> Result<Url, FetchError> {
    let url = Url::parse(text).map_err(|_| FetchError::Url(text.to_owned()))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(FetchError::NotHttps(url)),
        _ => Err(FetchError::Url(text.to_owned())),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_may_be_plain_http() {
        for url in
            ["https://idp.example/x", "http://127.0.0.1:1/", "http://[::1]:1/", "http://localhost/"]
        {
            assert!(checked_url(url).is_ok(), "{url}");
        }
        for url in [
            "http://idp.example/",
            "http://127.0.0.1.evil.example/",
            "file:///etc",
            "x",
            "ftp://localhost/",
        ] {
            assert!(checked_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn the_shortest_stated_lifetime_counts() {
        let stated = |values: &[&str]| {
            let mut response = http::Response::new("");
            for value in values {
                response.headers_mut().append(CACHE_CONTROL, value.parse().unwrap());
            }
            max_age(&response.into()).map(|age| age.as_secs())
        };
        assert_eq!(stated(&[]), None);
        assert_eq!(stated(&["public, max-age=600"]), Some(600));
        assert_eq!(stated(&["MAX-AGE=\"600\"", "max-age=60"]), Some(60));
        assert_eq!(stated(&["max-age=600, no-cache"]), Some(0));
        assert_eq!(stated(&["max-age=-1", "s-maxage=5", "immutable"]), None);
    }
}
