//! A contract in force, for a program that has no guards of its own: finds the endpoint that takes a
//! request, and enforces what it asks. The tower layer and the gateway come through here, and the answer is
//! [`StepUp::enforce`]'s.

use crate::principal::Principal;
use crate::refusal::{Cause, Refusal};
use crate::request_path::whole_path;
use crate::step_up::StepUp;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
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
    let says_other = |names: &[&str], here: &[u8]| {
        let mut values = names.iter().flat_map(|name| head.headers.get_all(*name));
        values.any(|value| value.as_bytes() != here)
    };
    let method = head.method.as_str().as_bytes();
    let query = head.uri.query().unwrap_or_default().as_bytes();
    // Most queries are none; this one is rarer still.
    let in_query = !query.is_empty()
        && form_urlencoded::parse(query)
            .any(|(name, value)| name == "_method" && value.as_bytes() != method);
    if says_other(&METHODS, method) || in_query {
        return Err(Cause::InvalidRequest("the request names a second HTTP method").into());
    }
    let target = head.uri.path_and_query().map_or("", PathAndQuery::as_str);
    if says_other(&TARGETS, target.as_bytes()) {
        return Err(Cause::InvalidRequest("the request names a second target").into());
    }
    Ok(())
}

/// The method that a CORS preflight asks about, if the request is one.
fn preflighted(head: &Parts) -> Option<&str> {
    let one = |headers: &HeaderMap, name| headers.get_all(name).iter().count() == 1;
    if head.method != Method::OPTIONS || !one(&head.headers, &ORIGIN) {
        return None;
    }
    let mut values = head.headers.get_all(ACCESS_CONTROL_REQUEST_METHOD).iter();
    let asked = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(asked)
}
