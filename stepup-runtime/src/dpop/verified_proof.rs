//! A proof that was already verified for a request. A proof may be used once, and a layer in front of a guard checks
//! the request before the guard does; the guard then accepts what the layer has verified.

use crate::dpop::proof::{PROOF, ProofVerifier};
use crate::request::head::RequestHead;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method};
use std::sync::Arc;

/// A verified proof, with the token and the request that it is for. No other crate can create one.
#[derive(Clone)]
pub(crate) struct VerifiedProof {
    verifier: Arc<ProofVerifier>,
    token: HeaderValue,
    proof: HeaderValue,
    method: Method,
    path: String,
}

impl VerifiedProof {
    /// The proof of this request, which `verifier` has just accepted.
    pub(crate) fn new(verifier: &Arc<ProofVerifier>, head: &RequestHead<'_>) -> Option<Self> {
        let header = |name| head.headers().get(name).cloned();
        Some(Self {
            verifier: Arc::clone(verifier),
            token: header(AUTHORIZATION)?,
            proof: header(PROOF)?,
            method: head.method().clone(),
            path: head.path().to_owned(),
        })
    }

    /// Whether `verifier` has accepted exactly the proof of this request.
    pub(crate) fn covers(&self, verifier: &Arc<ProofVerifier>, head: &RequestHead<'_>) -> bool {
        let only = |name, value| {
            let mut values = head.headers().get_all(name).iter();
            values.next() == Some(value) && values.next().is_none()
        };
        Arc::ptr_eq(&self.verifier, verifier)
            && head.method() == self.method
            && head.path() == self.path
            && only(AUTHORIZATION, &self.token)
            && only(PROOF, &self.proof)
    }
}
