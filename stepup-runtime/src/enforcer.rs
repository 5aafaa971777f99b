//! A contract in force, for a program that has no guards of its own: finds the endpoint that takes a
//! request, and enforces what it asks. The tower layer and the gateway come through here, and the answer is
//! [`StepUp::enforce`]'s.

use crate::principal::Principal;
use crate::refusal::{Cause, Refusal};
use crate::request_path::{whole_path, whole_uri};
use crate::step_up::StepUp;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, HeaderName, ORIGIN, UPGRADE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use std::fmt;
use std::sync::Arc;
use stepup_contract::{Contract, Matcher, Unlisted};

/// A contract and what enforces it. Cheap to clone.
#[derive(Clone)]
pub struct Enforcer(Arc<Inner>);

struct Inner {
    matcher: Matcher,
    unlisted: Unlisted,
    step_up: StepUp,
}

/// Why a request is let through.
#[derive(Debug, Clone)]
#[non_exhaustive]
#[must_use = "an answer that nobody looks at guards nothing"]
pub enum Admission {
    /// It satisfies the endpoint that takes it; this is who calls.
    Caller(Principal),
    /// It is a CORS preflight for an endpoint. It carries no credential and meets no endpoint itself.
    Preflight,
    /// No endpoint takes it, and the contract says `"unlisted": "allow"`.
    Unlisted,
}

impl Admission {
    /// Who calls, where that is known.
    pub fn principal(&self) -> Option<&Principal> {
        match self {
            Self::Caller(principal) => Some(principal),
            _ => None,
        }
    }
}

/// Headers by which some servers take another method than the request's.
const METHODS: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// Headers by which some servers take another target than the request's.
const TARGETS: [&str; 2] = ["x-original-url", "x-rewrite-url"];

impl Enforcer {
    /// Enforces this contract. An endpoint that this version cannot enforce is logged here, and refuses
    /// every request.
    pub fn new(contract: &Contract, step_up: StepUp) -> Self {
        for endpoint in contract.endpoints() {
            if let Some(why) = step_up.unenforceable(&endpoint.requirement) {
                tracing::error!(
                    endpoint = endpoint.route(),
                    why,
                    "an endpoint refuses every request"
                );
            }
        }
        let (matcher, unlisted) = (Matcher::new(contract), contract.unlisted());
        Self(Arc::new(Inner { matcher, unlisted, step_up }))
    }

    /// Enforces the contract on a request's head. Its body is not looked at. The path is that of the
    /// [`OriginalUri`](axum::extract::OriginalUri), where there is one.
    ///
    /// # Errors
    /// The refusal, ready to be sent: that of the endpoint, 403 where no endpoint takes the request and the
    /// contract says `"unlisted": "deny"`, and 400 where a program could take it for another endpoint's.
    pub async fn enforce(&self, head: &Parts) -> Result<Admission, Refusal> {
        let Inner { matcher, unlisted, step_up } = &*self.0;
        let path = whole_path(head);
        let found = matcher.find(head.method.as_str(), path);
        let endpoint = found.map_err(|why| Cause::InvalidRequest(why.why()))?;
        check_overrides(head)?;
        check_upgrade(head)?;
        if let Some(endpoint) = endpoint {
            return step_up.enforce(endpoint, head).await.map(Admission::Caller);
        }
        let preflighted = preflighted(head).map(|method| matcher.find(method, path));
        match (preflighted, unlisted) {
            (Some(Ok(Some(_))), _) => Ok(Admission::Preflight),
            (_, Unlisted::Allow) => Ok(Admission::Unlisted),
            (_, Unlisted::Deny) => Err(Cause::Unlisted.into()),
        }
    }

    /// What enforces it.
    pub fn step_up(&self) -> &StepUp {
        &self.0.step_up
    }
}

impl fmt::Debug for Enforcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enforcer").field("step_up", &self.0.step_up).finish_non_exhaustive()
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
    // Some servers part a query at semicolons, and take a dot at the beginning of a name for `_`.
    let pairs = uri.query().unwrap_or_default().split(['&', ';']);
    let mut pairs = pairs.flat_map(|pair| form_urlencoded::parse(pair.as_bytes()));
    let named = |name: &str| name.len() == 7 && name[1..].eq_ignore_ascii_case("method");
    if pairs.any(|(name, value)| {
        name.starts_with(['_', '.']) && named(&name) && value.as_bytes() != method
    }) {
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
