//! A proof of DPoP is good for one request, and a layer in front of a guard looks at the request before the
//! guard does: what the first has seen, the second need not see again.

use crate::request_path::whole_path;
use crate::step_up::StepUp;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderValue, Method};
use std::sync::Arc;

/// The proof that a request has brought, beside the token and the request that it is for. No other crate can
/// make one.
#[derive(Clone)]
pub(crate) struct Shown {
    to: StepUp,
    token: HeaderValue,
    proof: HeaderValue,
    method: Method,
    path: String,
}

impl Shown {
    /// What `to` has just accepted of this request.
    pub(crate) fn new(to: &StepUp, head: &Parts) -> Option<Self> {
        let of = |name| head.headers.get(name).cloned();
        let (token, proof) = (of(AUTHORIZATION)?, of(PROOF)?);
        let (method, path) = (head.method.clone(), whole_path(head).to_owned());
        Some(Self { to: to.clone(), token, proof, method, path })
    }

    /// Whether `to` has accepted this very proof of this request before.
    pub(crate) fn again(head: &Parts, to: &StepUp) -> bool {
        head.extensions.get::<Self>().is_some_and(|shown| {
            let one = |name, value| {
                let mut values = head.headers.get_all(name).iter();
                values.next() == Some(value) && values.next().is_none()
            };
            Arc::ptr_eq(&shown.to.0, &to.0)
                && head.method == shown.method
                && whole_path(head) == shown.path
                && one(AUTHORIZATION, &shown.token)
                && one(PROOF, &shown.proof)
        })
    }
}

const PROOF: http::HeaderName = http::HeaderName::from_static("dpop");
