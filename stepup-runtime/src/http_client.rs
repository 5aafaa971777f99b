//! Fetches documents from an issuer: over https (or loopback), without redirects, within a time and
//! a size.

use reqwest::{Client, Url, redirect};
use std::net::IpAddr;
use std::time::Duration;
use thiserror::Error;

/// Longest document that is read, in bytes.
const MAX_BODY: usize = 512 * 1024;

/// How long one fetch may take in all.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why a document could not be fetched.
#[derive(Debug, Error)]
pub(crate) enum FetchError {
    #[error("{0} is not a URL")]
    Url(String),
    #[error("{0} is not https; only loopback addresses may be http")]
    NotHttps(Url),
    #[error("{url} could not be fetched: {why}")]
    Http { url: Url, why: String },
    #[error("{url} answered {status}")]
    Status { url: Url, status: u16 },
    #[error("{0} is longer than {MAX_BODY} bytes")]
    TooLong(Url),
}

/// The client that fetches from issuers.
pub(crate) fn client() -> Result<Client, reqwest::Error> {
    Client::builder()
        .redirect(redirect::Policy::none())
        .timeout(TIMEOUT)
        .connect_timeout(TIMEOUT)
        .user_agent(concat!("stepup/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Fetches one document.
pub(crate) async fn fetch(client: &Client, url: &str) -> Result<Vec<u8>, FetchError> {
    let url = checked_url(url)?;
    let failed = |why: reqwest::Error| {
        let mut text = why.to_string();
        let mut source = std::error::Error::source(&why);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        FetchError::Http { url: url.clone(), why: text }
    };
    let request = client.get(url.clone()).header("accept", "application/json");
    let mut response = request.send().await.map_err(failed)?;
    if response.status() != 200 {
        return Err(FetchError::Status { status: response.status().as_u16(), url });
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(FetchError::TooLong(url));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A URL that documents may be fetched from.
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
}
