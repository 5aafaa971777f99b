//! The authorizer: one question, one answer, whichever way it was asked.

use crate::gateway::identity::Identity;
use crate::gateway::metrics::Metrics;
use crate::gateway::mode::Mode;
use arc_swap::ArcSwap;
use http::request::Parts;
use std::sync::Arc;
use std::time::Instant;
use stepup_runtime::{Admission, Cause, Enforcer, Refusal};
use tokio::sync::Semaphore;

/// See the module.
#[derive(Debug)]
pub(crate) struct Authorizer {
    enforcer: Arc<ArcSwap<Enforcer>>,
    pub(crate) identity: Identity,
    metrics: Arc<Metrics>,
    /// One for each question that may be answered at once.
    permits: Semaphore,
}

impl Authorizer {
    pub(crate) fn new(
        enforcer: Arc<ArcSwap<Enforcer>>,
        identity: Identity,
        metrics: Arc<Metrics>,
        concurrency: usize,
    ) -> Self {
        let permits = Semaphore::new(concurrency.min(Semaphore::MAX_PERMITS));
        Self { enforcer, identity, metrics, permits }
    }

    /// Holds the client's request against the contract at hand.
    pub(crate) async fn judge(
        &self,
        mode: Mode,
        head: Result<Parts, Refusal>,
    ) -> Result<Admission, Refusal> {
        let asked = Instant::now();
        let judged = match (self.permits.try_acquire(), head) {
            (Ok(_permit), Ok(head)) => {
                // The contract of this moment, whatever comes while an issuer is waited for.
                let enforcer = Enforcer::clone(&self.enforcer.load());
                enforcer.enforce(&head).await
            }
            (_, Err(refusal)) => Err(refusal),
            (Err(_), _) => Err(Cause::Unavailable { retry_after: 1 }.into()),
        };
        self.metrics.answered(mode, &judged, asked.elapsed());
        judged
    }
}
