//! What a request meets in a contract, before its credential is looked at. A request that the program behind
//! could take for another one, by its path, by a header or by its query, is refused here.

use crate::refusal::{Cause, Refusal};
use crate::request_path::{is_rewritten, whole_path, whole_uri};
use http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, ORIGIN,
    TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode;
use std::borrow::Cow;
use stepup_contract::{Endpoint, Matcher, Unlisted};

/// What a request meets in a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a request that meets an endpoint is not let through yet"]
pub enum Found<'a> {
    /// This endpoint takes it.
    Endpoint(&'a Endpoint),
    /// It is a CORS preflight for an endpoint. It carries no credential and meets no endpoint itself.
    Preflight,
    /// No endpoint takes it, and it is let through.
    Unlisted,
}

/// Headers by which some servers take another method than the request's.
const METHODS: [&str; 4] =
    ["x-http-method-override", "x-http-method", "x-method-override", "x-tunneled-method"];

/// Headers by which some servers take another target than the request's.
const TARGETS: [&str; 2] = ["x-original-url", "x-rewrite-url"];

/// Headers that are a server's own words for parts of the path (RFC 3875 §4.1.5, §4.1.13), and that some believe; and
/// those by which Plack, and Pyramid, take a part off it or put one in front.
const PARTS: [&str; 8] = [
    "script-name",
    "path-info",
    "x-script-name",
    "x-path-info",
    "x-forwarded-script-name",
    "x-forwarded-path-info",
    "x-traversal-path",
    "x-vhm-root",
];

/// The header by which a proxy says what it has taken off the path. Some servers take it off themselves, where it is
/// still there.
const PREFIX: [&str; 1] = ["x-forwarded-prefix"];

/// Headers that say to what host, port or scheme a request was sent (RFC 7239 among them). Some servers make an
/// address of them and of the path.
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

/// What stands in an address that has more than a host.
const PATHS: [u8; 5] = *b"/\\?#@";

/// Parameters of the query by which some servers take another method, by their letters and digits.
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

impl<'a> Found<'a> {
    /// What a request with this head meets in the contract of this matcher. The path is that of the
    /// [`OriginalUri`](axum::extract::OriginalUri), where there is one.
    ///
    /// # Errors
    /// 403 where no endpoint takes the request and it is to be refused, 400 where a program could take it for another
    /// one, and 500 where something else than nesting has changed its path behind the outermost router.
    pub fn of(matcher: &'a Matcher, head: &Parts) -> Result<Self, Refusal> {
        let path = whole_path(head);
        let found = matcher.find(head.method.as_str(), path);
        let endpoint = found.map_err(|why| Cause::InvalidRequest(why.why()))?;
        if is_rewritten(head) {
            tracing::error!(
                path = head.uri.path(),
                "something between the outermost router and the contract's layer has changed the path of a request; \
                 put the layer in front of it"
            );
            return Err(Cause::Misconfigured("the path was changed on the way").into());
        }
        check_overrides(head)?;
        check_upgrade(head)?;
        if let Some(endpoint) = endpoint {
            return Ok(Self::Endpoint(endpoint));
        }
        let preflighted = preflighted(head).map(|method| matcher.find(method, path));
        match (preflighted, matcher.unlisted()) {
            (Some(Ok(Some(_))), _) => Ok(Self::Preflight),
            (_, Unlisted::Allow) => Ok(Self::Unlisted),
            (_, Unlisted::Deny) => Err(Cause::Unlisted.into()),
        }
    }
}

/// Refuses a request that a server may take for one of another method or path, since it says so beside its
/// request line. What a form's body says (`_method`) is not seen here.
fn check_overrides(head: &Parts) -> Result<(), Refusal> {
    let uri = whole_uri(head);
    let method = head.method.as_str().as_bytes();
    let target = uri.path_and_query().map_or("", PathAndQuery::as_str).as_bytes();
    for (name, value) in &head.headers {
        let (name, value) = (name.as_str(), value.as_bytes());
        // No name that is looked for begins with another letter, and most headers do.
        if !name.starts_with(['f', 'h', 'p', 's', 'x']) {
            continue;
        }
        let is = |known: &[&str]| known.iter().any(|known| reads_as(name, known));
        if value != method && is(&METHODS) {
            return Err(Cause::InvalidRequest("the request names a second HTTP method").into());
        }
        if is(&PARTS) || (value != target && is(&TARGETS)) {
            return Err(Cause::InvalidRequest("the request names a second target").into());
        }
        if is(&PREFIX) && has_prefix(uri.path(), value) {
            let why = "the request names a prefix to be taken off its path, where it still is";
            return Err(Cause::InvalidRequest(why).into());
        }
        if is(&ORIGINS) && value.iter().any(|byte| PATHS.contains(byte)) {
            let why = "the request names a path in place of a host";
            return Err(Cause::InvalidRequest(why).into());
        }
    }
    // Some servers part a query at semicolons.
    let pairs = uri.query().unwrap_or_default().split(['&', ';']);
    let mut pairs = pairs.flat_map(|pair| form_urlencoded::parse(pair.as_bytes()));
    if pairs.any(|(name, value)| is_method_parameter(&name) && value.as_bytes() != method) {
        return Err(Cause::InvalidRequest("the request names a second HTTP method").into());
    }
    Ok(())
}

/// Whether this path lies below a prefix of this list, or below the list as a whole, for some server: as both are
/// written or decoded, with or without regard to case and to slashes around the prefix.
fn has_prefix(path: &str, list: &[u8]) -> bool {
    let path = path.as_bytes();
    let decoded: Cow<'_, [u8]> = percent_decode(path).into();
    let below = |path: &[u8], prefix: &[u8]| {
        let path = path.strip_prefix(b"/").unwrap_or(path);
        path.split_at_checked(prefix.len()).is_some_and(|(begin, rest)| {
            begin.eq_ignore_ascii_case(prefix) && matches!(rest, [] | [b'/', ..])
        })
    };
    list.split(|byte| *byte == b',').chain([list]).map(without_slashes).any(|prefix| {
        let read: Cow<'_, [u8]> = percent_decode(prefix).into();
        let prefixes = [prefix, without_slashes(&read)].into_iter();
        let mut prefixes = prefixes.filter(|prefix| !prefix.is_empty());
        prefixes.any(|prefix| below(path, prefix) || below(&decoded, prefix))
    })
}

/// A text without white space and slashes around it.
fn without_slashes(text: &[u8]) -> &[u8] {
    let around = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'/';
    let begin = text.iter().position(|byte| !around(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !around(byte)).map_or(begin, |last| last + 1);
    text.get(begin..end).unwrap_or_default()
}

/// Whether some server takes its method from the parameter of this name. `method` alone is one that many services
/// have for themselves; with a sign in front of it (`_method`) it is none of theirs. Some servers overlook what
/// stands behind a NUL, and take other signs for `_`.
fn is_method_parameter(name: &str) -> bool {
    let name = name.split('\0').next().unwrap_or_default();
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let is = |known: &&str| letters.eq_ignore_ascii_case(known);
    (is(&"method") && !name.starts_with(|c: char| c.is_ascii_alphanumeric()))
        || (letters.len() > "method".len() && PARAMETERS.iter().any(is))
}

/// Whether some server reads this header name as the `known` one, which is written in lower case with `-`: with `_`
/// (RFC 3875 §4.1.18) or another sign for it.
pub fn reads_as(name: &str, known: &str) -> bool {
    let alike = |(known, given): (u8, u8)| match known {
        b'-' => !given.is_ascii_alphanumeric(),
        known => known == given.to_ascii_lowercase(),
    };
    known.len() == name.len() && known.bytes().zip(name.bytes()).all(alike)
}

/// Refuses a request that asks for another protocol on its connection: what is sent in it afterwards would not
/// be looked at. A websocket belongs to the endpoint at which it is opened.
fn check_upgrade(head: &Parts) -> Result<(), Refusal> {
    if head.method == Method::CONNECT {
        let why = "CONNECT asks for a tunnel, in which nothing would be looked at";
        return Err(Cause::InvalidRequest(why).into());
    }
    let mut asked = head.headers.get_all(UPGRADE).iter();
    if asked.any(|value| !value.as_bytes().eq_ignore_ascii_case(b"websocket")) {
        let why = "the request asks for another protocol, in which it would not be looked at";
        return Err(Cause::InvalidRequest(why).into());
    }
    Ok(())
}

/// The method that a CORS preflight asks about, if the request is one. A preflight has neither a credential nor a
/// body (Fetch §4.8); for a service that does not look at the method, one that has is more than a question.
fn preflighted(head: &Parts) -> Option<&str> {
    let one = |headers: &HeaderMap, name| headers.get_all(name).iter().count() == 1;
    let has = |name| head.headers.contains_key(name);
    let body = head.headers.get_all(CONTENT_LENGTH).iter().any(|length| length != "0");
    let more =
        body || [UPGRADE, AUTHORIZATION, COOKIE, CONTENT_TYPE, TRANSFER_ENCODING].iter().any(has);
    if head.method != Method::OPTIONS || more || !one(&head.headers, &ORIGIN) {
        return None;
    }
    let mut values = head.headers.get_all(ACCESS_CONTROL_REQUEST_METHOD).iter();
    let asked = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_names_a_method_is_known_in_every_spelling() {
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
    fn every_name_that_is_looked_for_begins_with_a_letter_that_is_looked_at() {
        for name in [&METHODS[..], &TARGETS, &PARTS, &PREFIX, &ORIGINS].concat() {
            let (mut head, ()) = http::Request::new(()).into_parts();
            head.uri = http::Uri::from_static("/x");
            let value = http::HeaderValue::from_static(if PREFIX.contains(&name) {
                "/x"
            } else {
                "/?DELETE"
            });
            head.headers.insert(http::HeaderName::from_static(name), value);
            assert!(check_overrides(&head).is_err(), "{name}");
        }
    }

    #[test]
    fn a_prefix_is_refused_where_it_is_still_to_be_taken_off() {
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

    #[test]
    fn a_header_is_known_behind_other_signs() {
        for name in ["x-http-method", "x_http_method", "X.HTTP~Method"] {
            assert!(reads_as(name, "x-http-method"), "{name}");
        }
        for name in ["x-http-methods", "xahttp-method", "x--http-method"] {
            assert!(!reads_as(name, "x-http-method"), "{name}");
        }
    }
}
