//! The web pages that may read a refusal. A browser hides a response from a page of another origin, unless the response
//! names that origin (Fetch §3.3).

use http::header::ORIGIN;
use http::{HeaderMap, HeaderValue, Uri};
use thiserror::Error;

/// The origins whose pages may read refusals.
#[derive(Debug, Clone, Default)]
pub(crate) struct AllowedOrigins(Vec<HeaderValue>);

/// Why a text is not an origin.
#[derive(Debug, Error)]
#[error(
    "{0:?} is not an origin; write scheme, host and port only, like \"https://app.bank.example\""
)]
pub struct OriginError(String);

impl AllowedOrigins {
    /// Parses the origins, in the form in which browsers send them (RFC 6454 §6.2).
    pub(crate) fn parse(origins: &[String]) -> Result<Self, OriginError> {
        let parsed = origins.iter().map(|text| {
            let uri = text.parse::<Uri>().ok();
            let serialized = uri.and_then(|uri| {
                let host = uri.authority()?.as_str().to_ascii_lowercase();
                let plain = !host.contains('@') && uri.path() == "/" && uri.query().is_none();
                plain.then(|| format!("{}://{host}", uri.scheme_str().unwrap_or_default()))
            });
            let value = serialized.filter(|serialized| serialized == text);
            value
                .and_then(|value| HeaderValue::try_from(value).ok())
                .ok_or_else(|| OriginError(text.clone()))
        });
        parsed.collect::<Result<_, _>>().map(Self)
    }

    /// The origin of the page that sent this request, if the page may read a refusal.
    pub(crate) fn of(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if self.0.is_empty() {
            return None;
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        let origin = origins.next().filter(|_| origins.next().is_none())?;
        self.0.contains(origin).then(|| origin.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_serialized_origin_is_accepted() {
        for good in ["https://app.bank.example", "http://localhost:3000", "https://[::1]:8443"] {
            assert!(AllowedOrigins::parse(&[good.to_owned()]).is_ok(), "{good}");
        }
        for odd in [
            "*",
            "null",
            "",
            "app.bank.example",
            "https://app.bank.example/",
            "https://App.bank.example",
            "https://app.bank.example/x",
            "https://me@app.bank.example",
            "https://app.bank.example?x",
        ] {
            assert!(AllowedOrigins::parse(&[odd.to_owned()]).is_err(), "{odd}");
        }
    }

    #[test]
    fn only_the_one_origin_of_a_request_counts() {
        let allowed = AllowedOrigins::parse(&["https://app.example".to_owned()]).unwrap();
        let of = |origins: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for origin in origins {
                headers.append(ORIGIN, HeaderValue::from_static(origin));
            }
            allowed.of(&headers).is_some()
        };
        assert!(of(&["https://app.example"]));
        for others in [
            &["https://evil.example"][..],
            &["https://app.example", "https://app.example"],
            &["https://app.example.evil.example"],
            &["null"],
            &[],
        ] {
            assert!(!of(others), "{others:?}");
        }
    }
}
