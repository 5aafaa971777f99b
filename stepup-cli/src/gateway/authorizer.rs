//! The authorizer: enforces the contract on the client's request of a check, whatever form the check had.

use crate::gateway::metrics::Metrics;
use crate::request::client_request::ClientRequest;
use crate::settings::identity::Identity;
use crate::settings::listen::Mode;
use arc_swap::ArcSwap;
use http::HeaderMap;
use std::sync::Arc;
use std::time::Instant;
use stepup_runtime::{Admission, Cause, ContractEnforcer, InvalidRequest, Refusal};
use tokio::sync::Semaphore;

/// Enforces the current contract for all listeners.
#[derive(Debug)]
pub(crate) struct Authorizer {
    enforcer: Arc<ArcSwap<ContractEnforcer>>,
    pub(crate) identity: Identity,
    metrics: Arc<Metrics>,
    /// One permit for each check that may wait for an issuer.
    waiting: Semaphore,
    /// The most bytes of the names and values of a client's headers.
    pub(crate) header_bytes: usize,
}

impl Authorizer {
    pub(crate) fn new(
        enforcer: Arc<ArcSwap<ContractEnforcer>>,
        identity: Identity,
        metrics: Arc<Metrics>,
        concurrency: usize,
        header_bytes: usize,
    ) -> Self {
        let waiting = Semaphore::new(concurrency.min(Semaphore::MAX_PERMITS));
        Self { enforcer, identity, metrics, waiting, header_bytes }
    }

    /// Enforces the contract on a client's request, or refuses the request if it could not be extracted.
    pub(crate) async fn authorize(
        &self,
        mode: Mode,
        request: Result<ClientRequest, Cause>,
    ) -> Result<Admission, Refusal> {
        let started = Instant::now();
        // A snapshot of the current contract, so a reload does not affect a running check.
        let enforcer = ContractEnforcer::clone(&self.enforcer.load());
        let outcome = match request {
            Ok(request) => self.enforce(&enforcer, &request).await,
            Err(cause) => Err(enforcer.refuse(None, cause)),
        };
        self.metrics.answered(mode, &outcome, started.elapsed());
        outcome
    }

    /// Only a limited number of checks may wait for an issuer. Tokens that can be verified without the issuer are answered
    /// at once, so that a client with made-up tokens does not delay other callers.
    async fn enforce(
        &self,
        enforcer: &ContractEnforcer,
        request: &ClientRequest,
    ) -> Result<Admission, Refusal> {
        let head = request.head();
        let refuse = |cause: Cause| enforcer.refuse(Some(head), cause);
        if size(&request.headers) > self.header_bytes {
            return Err(refuse(InvalidRequest::HeadersTooLong.into()));
        }
        if request.headers.keys().any(|name| self.identity.is_confusable(name.as_str())) {
            return Err(refuse(InvalidRequest::IdentityHeader.into()));
        }
        let enforcement = enforcer.enforce(head);
        let _permit = if enforcement.is_waiting() {
            let permit = self.waiting.try_acquire();
            Some(permit.map_err(|_| refuse(Cause::Unavailable { retry_after: 1 }))?)
        } else {
            None
        };
        enforcement.await
    }
}

/// The number of bytes in the names and values of these headers.
fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}
