//! The guard: the first argument of every annotated handler, so that the decision precedes every other extractor and
//! the body. The generic part is thin; everything else is compiled once.

use crate::axum::extract::PublicCall;
use crate::axum::request::request_head;
use crate::axum::state::HasStepUp;
use crate::dpop::verified_proof::VerifiedProof;
use crate::enforcement::enforce::Progress;
use crate::enforcement::enforcement_future::Enforcement;
use crate::enforcement::outcome::OutcomeContext;
use crate::enforcement::principal::{AuthorizedPrincipal, Principal};
use crate::enforcement::step_up::StepUp;
use crate::refusal::{Cause, Misconfiguration, Refusal};
use axum::extract::{FromRequestParts, MatchedPath};
use http::request::Parts;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use stepup_contract::collect::read_endpoint;
use stepup_contract::record::Record;
use stepup_contract::{Endpoint, HttpMethod, joined};

/// The type that carries one endpoint; the attribute writes one for each handler.
pub trait GuardedEndpoint: 'static {
    /// The parts of the endpoint's line in the link section.
    const RECORD: Record;

    /// The endpoint at run time.
    fn slot() -> &'static Slot;
}

/// The proof that the request satisfies the endpoint `E`.
pub struct Guard<E>(PhantomData<fn() -> E>);

impl<E, S> FromRequestParts<S> for Guard<E>
where
    E: GuardedEndpoint,
    S: HasStepUp + Sync,
{
    type Rejection = Refusal;

    fn from_request_parts(
        parts: &mut Parts,
        state: &S,
    ) -> impl Future<Output = Result<Self, Refusal>> + Send {
        GuardFuture { check: check(state.step_up(), E::slot(), parts), endpoint: PhantomData }
    }
}

#[cfg(feature = "testing")]
impl<E> Guard<E> {
    /// A guard that has checked nothing, for unit tests that call a handler as a function:
    /// `approve(Guard::for_test(), …)`.
    pub fn for_test() -> Self {
        Self(PhantomData)
    }
}

/// The future of a guard. Only its output type depends on the endpoint.
struct GuardFuture<'a, E> {
    check: Enforcement<'a, ()>,
    endpoint: PhantomData<fn() -> E>,
}

impl<E> Future for GuardFuture<'_, E> {
    type Output = Result<Guard<E>, Refusal>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.check).poll(context).map_ok(|()| Guard(PhantomData))
    }
}

/// One endpoint at run time: its line in the link section, parsed once by the contract's parser.
pub struct Slot {
    line: &'static [u8],
    endpoint: OnceLock<Option<Endpoint>>,
    drift_logged: AtomicBool,
}

impl Slot {
    /// A slot for this line.
    pub const fn new(line: &'static [u8]) -> Self {
        Self { line, endpoint: OnceLock::new(), drift_logged: AtomicBool::new(false) }
    }

    /// The endpoint. `None` if the line cannot be parsed, which refuses every request.
    pub(crate) fn endpoint(&self) -> Option<&Endpoint> {
        let endpoint = self.endpoint.get_or_init(|| {
            read_endpoint(self.line)
                .map_err(|error| tracing::error!(%error, "an endpoint cannot be enforced"))
                .ok()
        });
        endpoint.as_ref()
    }
}

fn check<'a>(step_up: StepUp, slot: &'static Slot, parts: &'a mut Parts) -> Enforcement<'a, ()> {
    let endpoint = match checked_endpoint(&step_up, slot, parts) {
        Ok(endpoint) => endpoint,
        Err(refusal) => return Enforcement::ready(Err(refusal)),
    };
    let proof = parts.extensions.get::<VerifiedProof>();
    match step_up.enforce_now(endpoint, request_head(parts), proof) {
        Progress::Done(Ok(None)) => {
            parts.extensions.insert(PublicCall::Guard(step_up, endpoint));
            Enforcement::ready(Ok(()))
        }
        Progress::Done(Ok(Some(principal))) => {
            attach(principal, parts);
            Enforcement::ready(Ok(()))
        }
        Progress::Done(Err(refusal)) => Enforcement::ready(Err(refusal)),
        Progress::Waits(waiting) => Enforcement::waiting(async move {
            let proof = parts.extensions.get::<VerifiedProof>();
            let head = request_head(parts);
            let principal = step_up.enforce_waiting(endpoint, head, proof, waiting).await?;
            attach(principal, parts);
            Ok(())
        }),
    }
}

/// Attaches the authorized principal to the request, for the handler's extractors.
fn attach(principal: Principal, parts: &mut Parts) {
    parts.extensions.insert(AuthorizedPrincipal(principal));
}

/// The endpoint, if it can be parsed and, with `strict_routes`, the handler is mounted where the endpoint declares.
fn checked_endpoint(
    step_up: &StepUp,
    slot: &'static Slot,
    parts: &Parts,
) -> Result<&'static Endpoint, Refusal> {
    let refuse = |endpoint, reason: Misconfiguration| {
        let head = Some(request_head(parts));
        let context = OutcomeContext { endpoint, head, token: None };
        step_up.refuse(&context, Cause::from(reason).into())
    };
    let Some(endpoint) = slot.endpoint() else {
        return Err(refuse(None, Misconfiguration::UnreadableEndpoint));
    };
    if has_drifted(step_up, endpoint, parts) {
        step_up.0.drifted.fetch_add(1, Ordering::Relaxed);
        if !slot.drift_logged.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                handler = endpoint.handler,
                declared = endpoint.route(),
                base = step_up.0.base,
                method = %parts.method,
                matched = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str),
                "a handler is mounted at another route than its attribute declares, so the contract is wrong; mount \
                 the handler with routes!, or fix the attribute or service!(base)"
            );
        }
        if step_up.0.strict_routes {
            return Err(refuse(Some(endpoint), Misconfiguration::OtherRoute));
        }
    }
    Ok(endpoint)
}

/// Whether the request arrived by another route than the declared one. A handler without a declared route may be
/// mounted anywhere.
fn has_drifted(step_up: &StepUp, endpoint: &Endpoint, parts: &Parts) -> bool {
    if endpoint.path.is_empty() {
        return false;
    }
    let path = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
    let declared = joined(&step_up.0.base, &endpoint.path);
    let method = endpoint.method.is_none_or(|method| {
        parts.method == method.as_str()
            || (method == HttpMethod::Get && parts.method == http::Method::HEAD)
    });
    path != Some(&*declared) || !method
}
