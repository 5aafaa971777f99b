//! A proof of DPoP is good for one request, and a layer in front of a guard looks at the request before the
//! guard does: what the first has seen, the second need not see again.

use crate::step_up::StepUp;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use std::sync::Arc;

/// The proof that a request has brought, beside the token that it is for. No other crate can make one.
#[derive(Clone)]
pub(crate) struct Shown {
    to: StepUp,
    token: HeaderValue,
    proof: HeaderValue,
}

impl Shown {
    /// What `to` has just accepted of this request.
    pub(crate) fn new(to: &StepUp, headers: &HeaderMap) -> Option<Self> {
        let of = |name| headers.get(name).cloned();
        Some(Self { to: to.clone(), token: of(AUTHORIZATION)?, proof: of(PROOF)? })
    }

    /// Whether `to` has accepted this very proof of this request before.
    pub(crate) fn again(head: &Parts, to: &StepUp) -> bool {
        head.extensions.get::<Self>().is_some_and(|shown| {
            let one = |name, value| {
                let mut values = head.headers.get_all(name).iter();
                values.next() == Some(value) && values.next().is_none()
            };
            Arc::ptr_eq(&shown.to.0, &to.0)
                && one(AUTHORIZATION, &shown.token)
                && one(PROOF, &shown.proof)
        })
    }
}

const PROOF: http::HeaderName = http::HeaderName::from_static("dpop");
