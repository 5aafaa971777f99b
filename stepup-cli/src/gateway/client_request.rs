//! The client's request in a check over HTTP. In each mode only one source is trusted: another gateway's headers may
//! come from the client, and are ignored.

use crate::request::client_request::{ClientRequest, parse_target};
use crate::settings::listen::Mode;
use http::Method;
use http::header::{HeaderMap, HeaderName};
use http::request::Parts;
use http::uri::PathAndQuery;
use stepup_runtime::{Cause, InvalidRequest, Misconfiguration};

/// The names of the headers with the method and the target of the client's request.
type Names = (HeaderName, HeaderName);

const ORIGINAL: Names =
    (HeaderName::from_static("x-original-method"), HeaderName::from_static("x-original-uri"));

const FORWARDED: Names =
    (HeaderName::from_static("x-forwarded-method"), HeaderName::from_static("x-forwarded-uri"));

/// Extracts the client's request from the head of a check.
pub(crate) fn client_request(mode: Mode, check: Parts) -> Result<ClientRequest, Cause> {
    let (method, target) = match mode {
        Mode::Nginx => from_headers(&check.headers, ORIGINAL)?,
        Mode::ForwardAuth => from_headers(&check.headers, FORWARDED)?,
        Mode::EnvoyHttp | Mode::EnvoyGrpc => {
            let target = check.uri.path_and_query().map_or("", PathAndQuery::as_str);
            (check.method, parse_target(target.as_bytes())?)
        }
    };
    Ok(ClientRequest { method, target, headers: check.headers })
}

/// The method and the target in these headers. If one of them is missing or repeated, the gateway is misconfigured.
fn from_headers(
    headers: &HeaderMap,
    (method, target): Names,
) -> Result<(Method, http::Uri), Cause> {
    let one = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter();
        let value = values.next().filter(|_| values.next().is_none());
        value.map(|value| value.as_bytes()).ok_or_else(|| {
            tracing::error!(
                header = name.as_str(),
                "a gateway did not send its client's request in exactly one header; compare its configuration with the \
                 output of `stepup render`"
            );
            Cause::from(Misconfiguration::GatewayHeaders)
        })
    };
    let method = Method::from_bytes(one(&method)?).map_err(|_| InvalidRequest::Method)?;
    Ok((method, parse_target(one(&target)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Uri;

    fn check(headers: &[(&'static str, &'static str)]) -> Parts {
        let mut request = http::Request::new(());
        *request.uri_mut() = Uri::from_static("/asked?x=1");
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        request.into_parts().0
    }

    fn read(mode: Mode, headers: &[(&'static str, &'static str)]) -> Result<String, u16> {
        client_request(mode, check(headers))
            .map(|request| format!("{} {}", request.method, request.target))
            .map_err(|cause| cause.status().as_u16())
    }

    #[test]
    fn each_mode_trusts_only_its_own_source() {
        let all = [
            ("x-original-method", "PUT"),
            ("x-original-uri", "/original?a"),
            ("x-forwarded-method", "POST"),
            ("x-forwarded-uri", "/forwarded"),
        ];
        assert_eq!(read(Mode::Nginx, &all), Ok("PUT /original?a".into()));
        assert_eq!(read(Mode::ForwardAuth, &all), Ok("POST /forwarded".into()));
        assert_eq!(read(Mode::EnvoyHttp, &all), Ok("GET /asked?x=1".into()));
        assert_eq!(read(Mode::Nginx, &all[2..]), Err(500));
        assert_eq!(read(Mode::ForwardAuth, &all[..2]), Err(500));
    }

    #[test]
    fn a_repeated_or_malformed_source_is_refused() {
        let method = ("x-original-method", "GET");
        for target in ["", "a", "*", "http://a/b", "/a#b", "/a b"] {
            let read = read(Mode::Nginx, &[method, ("x-original-uri", target)]);
            assert!(read.is_err(), "{target:?}: {read:?}");
        }
        let repeated = [method, ("x-original-uri", "/a"), ("x-original-uri", "/b")];
        assert_eq!(read(Mode::Nginx, &repeated), Err(500));
        assert_eq!(read(Mode::Nginx, &[method, method, ("x-original-uri", "/b")]), Err(500));
        assert_eq!(
            read(Mode::Nginx, &[("x-original-method", "G T"), ("x-original-uri", "/b")]),
            Err(400)
        );
    }
}
