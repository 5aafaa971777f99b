//! What a request meets in a contract, before its credential is looked at. A request that the program behind
//! could take for another one, by its path, by a header or by its query, is refused here.

use crate::refusal::{Cause, Refusal};
use crate::request_path::{whole_path, whole_uri};
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, HeaderName, ORIGIN, UPGRADE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
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
const METHODS: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// Headers by which some servers take another target than the request's.
const TARGETS: [&str; 2] = ["x-original-url", "x-rewrite-url"];

impl<'a> Found<'a> {
    /// What a request with this head meets in the contract of this matcher. The path is that of the
    /// [`OriginalUri`](axum::extract::OriginalUri), where there is one.
    ///
    /// # Errors
    /// 403 where no endpoint takes the request and it is to be refused, and 400 where a program could take it for
    /// another one.
    pub fn of(matcher: &'a Matcher, head: &Parts) -> Result<Self, Refusal> {
        let path = whole_path(head);
        let found = matcher.find(head.method.as_str(), path);
        let endpoint = found.map_err(|why| Cause::InvalidRequest(why.why()))?;
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
        if is(name, &METHODS) && value.as_bytes() != method {
            return Err(Cause::InvalidRequest("the request names a second HTTP method").into());
        }
        if is(name, &TARGETS) && value.as_bytes() != target {
            return Err(Cause::InvalidRequest("the request names a second target").into());
        }
    }
    // Some servers part a query at semicolons, take a dot at the beginning of a name for `_`, and overlook spaces
    // in front of it and whatever stands behind a NUL.
    let pairs = uri.query().unwrap_or_default().split(['&', ';']);
    let mut pairs = pairs.flat_map(|pair| form_urlencoded::parse(pair.as_bytes()));
    let named = |name: &str| {
        let name = name.split('\0').next().unwrap_or_default().trim_start();
        name.strip_prefix(['_', '.']).is_some_and(|rest| rest.eq_ignore_ascii_case("method"))
    };
    if pairs.any(|(name, value)| named(&name) && value.as_bytes() != method) {
        return Err(Cause::InvalidRequest("the request names a second HTTP method").into());
    }
    Ok(())
}

/// Whether a header is one of these, also as a server reads it that takes `_` for `-` (RFC 3875 §4.1.18).
fn is(name: &HeaderName, known: &[&str]) -> bool {
    let name = name.as_str();
    name.starts_with('x')
        && known.iter().any(|known| {
            known.len() == name.len()
                && known.bytes().zip(name.bytes()).all(|(a, b)| a == b || (a == b'-' && b == b'_'))
        })
}

/// Refuses a request that asks for another protocol on its connection: what is sent in it afterwards would not
/// be looked at. A websocket belongs to the endpoint at which it is opened.
fn check_upgrade(head: &Parts) -> Result<(), Refusal> {
    let mut asked = head.headers.get_all(UPGRADE).iter();
    if asked.any(|value| !value.as_bytes().eq_ignore_ascii_case(b"websocket")) {
        let why = "the request asks for another protocol, in which it would not be looked at";
        return Err(Cause::InvalidRequest(why).into());
    }
    Ok(())
}

/// The method that a CORS preflight asks about, if the request is one.
fn preflighted(head: &Parts) -> Option<&str> {
    let one = |headers: &HeaderMap, name| headers.get_all(name).iter().count() == 1;
    let upgrade = head.headers.contains_key(UPGRADE);
    if head.method != Method::OPTIONS || upgrade || !one(&head.headers, &ORIGIN) {
        return None;
    }
    let mut values = head.headers.get_all(ACCESS_CONTROL_REQUEST_METHOD).iter();
    let asked = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(asked)
}
