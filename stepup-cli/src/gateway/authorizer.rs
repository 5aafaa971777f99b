//! The authorizer: one question, one answer, whichever way it was asked.

use crate::gateway::identity::Identity;
use crate::gateway::metrics::Metrics;
use crate::gateway::mode::Mode;
use arc_swap::ArcSwap;
use http::HeaderMap;
use http::request::Parts;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;
use stepup_runtime::{Admission, Cause, Enforcer, Refusal};
use tokio::sync::Semaphore;

/// See the module.
#[derive(Debug)]
pub(crate) struct Authorizer {
    enforcer: Arc<ArcSwap<Enforcer>>,
    pub(crate) identity: Identity,
    metrics: Arc<Metrics>,
    /// One for each question that may wait for an issuer at once.
    places: Semaphore,
    /// The most bytes that the names and values of a client's header fields have.
    pub(crate) header_bytes: usize,
}

impl Authorizer {
    pub(crate) fn new(
        enforcer: Arc<ArcSwap<Enforcer>>,
        identity: Identity,
        metrics: Arc<Metrics>,
        concurrency: usize,
        header_bytes: usize,
    ) -> Self {
        let places = Semaphore::new(concurrency.min(Semaphore::MAX_PERMITS));
        Self { enforcer, identity, metrics, places, header_bytes }
    }

    /// Holds the client's request against the contract at hand.
    pub(crate) async fn judge(
        &self,
        mode: Mode,
        head: Result<Parts, Refusal>,
    ) -> Result<Admission, Refusal> {
        let asked = Instant::now();
        let judged = match head {
            Ok(head) if size(&head.headers) > self.header_bytes => {
                Err(Cause::InvalidRequest("the headers are too long").into())
            }
            Ok(head)
                if head.headers.keys().any(|name| self.identity.is_mimicked_by(name.as_str())) =>
            {
                let why = "the name of a header could be mistaken for that of an identity header";
                Err(Cause::InvalidRequest(why).into())
            }
            Ok(head) => self.enforce(&head).await,
            Err(refusal) => Err(refusal),
        };
        self.metrics.answered(mode, &judged, asked.elapsed());
        judged
    }

    /// Most questions are answered at once. One whose token is not known yet waits for its issuer, and so many
    /// wait at once and no more: a client with made-up tokens takes no place from those who are known.
    async fn enforce(&self, head: &Parts) -> Result<Admission, Refusal> {
        // The contract of this moment, whatever comes while an issuer is waited for.
        let enforcer = Enforcer::clone(&self.enforcer.load());
        let mut judging = pin!(enforcer.enforce(head));
        if let Poll::Ready(judged) =
            poll_fn(|context| Poll::Ready(judging.as_mut().poll(context))).await
        {
            return judged;
        }
        let _place =
            self.places.try_acquire().map_err(|_| Cause::Unavailable { retry_after: 1 })?;
        judging.await
    }
}

/// How many bytes the names and values of these header fields have.
fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}
