//! Headers and query parameters by which some servers take another method or target than those of the request line.
//! An enforcer in front of such a server must refuse a request that carries them. A form field (`_method`) in the
//! body is not visible here.

use crate::refusal::InvalidRequest;
use crate::request::head::RequestHead;
use crate::request::header_name::reads_as;
use http::Method;
use http::header::UPGRADE;
use http::uri::PathAndQuery;
use percent_encoding::percent_decode;
use std::borrow::Cow;

/// Whether a request is refused for headers and query parameters that override its method, path or protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverrideCheck {
    /// The server behind may read them, or is unknown: refuse a request that has one.
    Refuse,
    /// The server behind does not read them.
    Ignore,
}

/// The upgrade to HTTP/2 without TLS, which RFC 9113 has removed. Java's HTTP client offers it on each connection.
pub(crate) const H2C: &[u8] = b"h2c";

/// Headers by which some servers take another method than the request's.
const METHODS: [&str; 4] =
    ["x-http-method-override", "x-http-method", "x-method-override", "x-tunneled-method"];

/// Headers by which some servers take another target than the request's.
const TARGETS: [&str; 2] = ["x-original-url", "x-rewrite-url"];

/// CGI variables for parts of the path (RFC 3875 §4.1.5, §4.1.13) that some servers accept from a header, and the
/// headers by which Plack and Pyramid remove or add a part of the path.
const PATH_PARTS: [&str; 8] = [
    "script-name",
    "path-info",
    "x-script-name",
    "x-path-info",
    "x-forwarded-script-name",
    "x-forwarded-path-info",
    "x-traversal-path",
    "x-vhm-root",
];

/// The header by which a proxy names the prefix that it has removed. Some servers remove the prefix again if the
/// path still has it.
const PREFIX: [&str; 1] = ["x-forwarded-prefix"];

/// Headers that name the host, port or scheme of a request (RFC 7239 among them). Some servers build a URL from these
/// headers and the path.
const ORIGINS: [&str; 10] = [
    "forwarded",
    "host",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-original-host",
    "x-original-port",
    "x-original-proto",
];

/// Characters that a host does not contain, but an address with a path does.
const PATH_DELIMITERS: [u8; 5] = *b"/\\?#@";

/// Query parameters by which some servers take another method, reduced to letters and digits.
const PARAMETERS: [&str; 8] = [
    "httpmethod",
    "httpmethodoverride",
    "methodoverride",
    "tunneledmethod",
    "xhttpmethod",
    "xhttpmethodoverride",
    "xmethodoverride",
    "xtunneledmethod",
];

/// Refuses a request that some servers interpret with another method or path.
pub(crate) fn check_overrides(head: &RequestHead<'_>) -> Result<(), InvalidRequest> {
    let method = head.method().as_str().as_bytes();
    let target = head.target().path_and_query().map_or("", PathAndQuery::as_str).as_bytes();
    for (name, value) in head.headers() {
        let (name, value) = (name.as_str(), value.as_bytes());
        // Every name in the lists starts with one of these letters, and most headers do not.
        if !name.starts_with(['f', 'h', 'p', 's', 'x']) {
            continue;
        }
        let is = |known: &[&str]| known.iter().any(|known| reads_as(name, known));
        if value != method && is(&METHODS) {
            return Err(InvalidRequest::MethodOverride);
        }
        if is(&PATH_PARTS) || (value != target && is(&TARGETS)) {
            return Err(InvalidRequest::TargetOverride);
        }
        if is(&PREFIX) && has_prefix(head.path(), value) {
            return Err(InvalidRequest::ForwardedPrefix);
        }
        if is(&ORIGINS) && value.iter().any(|byte| PATH_DELIMITERS.contains(byte)) {
            return Err(InvalidRequest::PathInHost);
        }
    }
    // Some servers also split a query at semicolons.
    let pairs = head.query().unwrap_or_default().split(['&', ';']);
    let mut pairs = pairs.flat_map(|pair| form_urlencoded::parse(pair.as_bytes()));
    if pairs.any(|(name, value)| is_method_parameter(&name) && value.as_bytes() != method) {
        return Err(InvalidRequest::MethodOverride);
    }
    Ok(())
}

/// Refuses a request that switches its connection to another protocol, in which later requests cannot be checked.
/// WebSocket is allowed: the endpoint that opens the socket protects it. A server that ignores overrides ignores an offer
/// of h2c too.
pub(crate) fn check_upgrade(
    head: &RequestHead<'_>,
    overrides: OverrideCheck,
) -> Result<(), InvalidRequest> {
    if head.method() == Method::CONNECT {
        return Err(InvalidRequest::Connect);
    }
    let mut protocols = head.headers().get_all(UPGRADE).iter();
    let allowed = |protocol: &[u8]| {
        protocol.eq_ignore_ascii_case(b"websocket")
            || (overrides == OverrideCheck::Ignore && protocol.eq_ignore_ascii_case(H2C))
    };
    if protocols.any(|value| !allowed(value.as_bytes())) {
        return Err(InvalidRequest::Upgrade);
    }
    Ok(())
}

/// Whether some server finds a prefix of this list, or the list as a whole, at the start of the path: decoded or as
/// written, with or without regard to case and to slashes around the prefix.
fn has_prefix(path: &str, list: &[u8]) -> bool {
    let path = path.as_bytes();
    let decoded: Cow<'_, [u8]> = percent_decode(path).into();
    let starts_with = |path: &[u8], prefix: &[u8]| {
        let path = path.strip_prefix(b"/").unwrap_or(path);
        path.split_at_checked(prefix.len()).is_some_and(|(start, rest)| {
            start.eq_ignore_ascii_case(prefix) && matches!(rest, [] | [b'/', ..])
        })
    };
    list.split(|byte| *byte == b',').chain([list]).map(without_slashes).any(|prefix| {
        let read: Cow<'_, [u8]> = percent_decode(prefix).into();
        let prefixes = [prefix, without_slashes(&read)].into_iter();
        let mut prefixes = prefixes.filter(|prefix| !prefix.is_empty());
        prefixes.any(|prefix| starts_with(path, prefix) || starts_with(&decoded, prefix))
    })
}

/// A text without surrounding white space and slashes.
fn without_slashes(text: &[u8]) -> &[u8] {
    let trimmed = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'/';
    let start = text.iter().position(|byte| !trimmed(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !trimmed(byte)).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

/// Whether some server takes its method from the query parameter of this name. `method` alone is a common parameter
/// with another meaning; `_method` is not. Some servers ignore what follows a NUL, and read other characters as `_`.
fn is_method_parameter(name: &str) -> bool {
    let name = name.split('\0').next().unwrap_or_default();
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let is = |known: &&str| letters.eq_ignore_ascii_case(known);
    (is(&"method") && !name.starts_with(|c: char| c.is_ascii_alphanumeric()))
        || (letters.len() > "method".len() && PARAMETERS.iter().any(is))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_parameter_is_recognized_in_every_spelling() {
        for name in [
            "_method",
            ".method",
            " _METHOD",
            "_method\0x",
            "X-HTTP-Method-Override",
            "x_http_method_override",
            "_HttpMethod",
            "x-tunneled-method",
            "httpMethod",
        ] {
            assert!(is_method_parameter(name), "{name}");
        }
        for name in ["method", "methods", "payment_method", "meth_od", "", "x"] {
            assert!(!is_method_parameter(name), "{name}");
        }
    }

    #[test]
    fn every_listed_header_starts_with_a_letter_that_is_checked() {
        for name in [&METHODS[..], &TARGETS, &PATH_PARTS, &PREFIX, &ORIGINS].concat() {
            let value = if PREFIX.contains(&name) { "/x" } else { "/?DELETE" };
            let mut headers = http::HeaderMap::new();
            headers.insert(http::HeaderName::from_static(name), value.parse().unwrap());
            let target = http::Uri::from_static("/x");
            let head = RequestHead::new(&Method::GET, &target, &headers);
            assert!(check_overrides(&head).is_err(), "{name}");
        }
    }

    #[test]
    fn a_forwarded_prefix_is_refused_if_the_path_still_has_the_prefix() {
        for (path, prefix) in [
            ("/public/admin", "/public"),
            ("/public/admin", "/public/"),
            ("/public", "/public"),
            ("/Public/admin", "/pUBLIC"),
            ("/p%75blic/admin", "/public"),
            ("/p%75blic/admin", "/p%75blic"),
            ("/public/admin", "/%70ublic"),
            ("/public/admin", "public"),
            ("/public/admin", "/outer, /public"),
            ("/a,b/admin", "/a,b"),
            ("/a/b/admin", "/a/b"),
        ] {
            assert!(has_prefix(path, prefix.as_bytes()), "{path} {prefix}");
        }
        for (path, prefix) in [
            ("/admin", "/public"),
            ("/publicity", "/public"),
            ("/public/admin", "/"),
            ("/public/admin", ""),
            ("/p", "/public"),
            ("/public/admin", ",,,"),
        ] {
            assert!(!has_prefix(path, prefix.as_bytes()), "{path} {prefix}");
        }
    }
}
