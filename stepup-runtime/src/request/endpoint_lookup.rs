//! Which endpoint of a contract a request matches, before its credential is read. A request that the server behind
//! could take for another one, by its path, a header or its query, is refused here.

use crate::refusal::Cause;
use crate::request::head::RequestHead;
use crate::request::overrides::{OverrideCheck, check_overrides, check_upgrade};
use http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, ORIGIN,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Method};
use stepup_contract::{Endpoint, Matcher, Unlisted};

/// What a contract says about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a request that matches an endpoint is not authorized yet"]
pub enum EndpointLookup<'a> {
    /// The request matches this endpoint.
    Endpoint(&'a Endpoint),
    /// The request is a CORS preflight for an endpoint. A preflight request carries no credential and runs no handler.
    Preflight,
    /// No endpoint matches, and the contract allows such requests.
    Unlisted,
}

impl<'a> EndpointLookup<'a> {
    /// Looks up the endpoint for a request with this head.
    ///
    /// # Errors
    /// [`Cause::Unlisted`] if no endpoint matches and the contract denies such requests; [`Cause::AmbiguousPath`] or
    /// [`Cause::InvalidRequest`] if a server could take the request for another one.
    pub fn find(
        matcher: &'a Matcher,
        head: &RequestHead<'_>,
        overrides: OverrideCheck,
    ) -> Result<Self, Cause> {
        let endpoint = matcher.find(head.method().as_str(), head.path())?;
        if overrides == OverrideCheck::Refuse {
            check_overrides(head)?;
        }
        check_upgrade(head, overrides)?;
        if let Some(endpoint) = endpoint {
            return Ok(Self::Endpoint(endpoint));
        }
        let preflighted = preflighted_method(head).map(|method| matcher.find(method, head.path()));
        match (preflighted, matcher.unlisted()) {
            (Some(Ok(Some(_))), _) => Ok(Self::Preflight),
            (_, Unlisted::Allow) => Ok(Self::Unlisted),
            (_, Unlisted::Deny) => Err(Cause::Unlisted),
        }
    }
}

/// The method that a CORS preflight asks for, if the request is a preflight. A preflight has neither a credential nor
/// a body (Fetch §4.8). A request that has one could do more at a server that ignores the method.
fn preflighted_method<'a>(head: &RequestHead<'a>) -> Option<&'a str> {
    let headers = head.headers();
    let once = |headers: &HeaderMap, name| headers.get_all(name).iter().count() == 1;
    let has = |name| headers.contains_key(name);
    let has_body = headers.get_all(CONTENT_LENGTH).iter().any(|length| length != "0");
    let has_more = has_body
        || [UPGRADE, AUTHORIZATION, COOKIE, CONTENT_TYPE, TRANSFER_ENCODING].iter().any(has);
    if head.method() != Method::OPTIONS || has_more || !once(headers, &ORIGIN) {
        return None;
    }
    let mut values = headers.get_all(ACCESS_CONTROL_REQUEST_METHOD).iter();
    let method = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(method)
}
