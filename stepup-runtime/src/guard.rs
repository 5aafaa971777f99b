//! The guard: the first argument of every annotated handler, so that the decision comes before any
//! other extractor and before the body. What is generic here is thin; the work is in functions that
//! are compiled once.

use crate::principal::Admitted;
use crate::refusal::{Cause, Refusal};
use crate::state::HasStepUp;
use crate::step_up::StepUp;
use axum::extract::{FromRequestParts, MatchedPath};
use http::request::Parts;
use std::marker::PhantomData;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use stepup_contract::collect::read_endpoint;
use stepup_contract::record::Record;
use stepup_contract::{Endpoint, HttpMethod, joined};

/// The type that carries one endpoint; the attribute writes one per handler.
pub trait GuardedEndpoint: 'static {
    /// The parts of the endpoint's line.
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

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        check(&state.step_up(), E::slot(), parts).await?;
        Ok(Self(PhantomData))
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

/// One endpoint at run time: its line in the link section, parsed once by the contract's parser.
pub struct Slot {
    line: &'static [u8],
    endpoint: OnceLock<Option<Endpoint>>,
    drift_told: AtomicBool,
}

impl Slot {
    /// A slot for this line.
    pub const fn new(line: &'static [u8]) -> Self {
        Self { line, endpoint: OnceLock::new(), drift_told: AtomicBool::new(false) }
    }

    /// The endpoint; `None` when the line cannot be read, which refuses every request.
    pub(crate) fn endpoint(&self) -> Option<&Endpoint> {
        let endpoint = self.endpoint.get_or_init(|| {
            read_endpoint(self.line)
                .map_err(|error| tracing::error!(%error, "an endpoint cannot be enforced"))
                .ok()
        });
        endpoint.as_ref()
    }
}

async fn check(step_up: &StepUp, slot: &Slot, parts: &mut Parts) -> Result<(), Refusal> {
    let Some(endpoint) = slot.endpoint() else {
        return Err(Cause::Misconfigured("the endpoint cannot be enforced").into());
    };
    if has_drifted(step_up, endpoint, parts) {
        step_up.0.drifted.fetch_add(1, Ordering::Relaxed);
        if !slot.drift_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                handler = endpoint.handler,
                declared = endpoint.route(),
                base = step_up.0.base,
                method = %parts.method,
                matched = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str),
                "a handler is mounted at another route than its attribute declares, so that the \
                 contract is wrong; mount it with routes!, or mend the attribute or service!(base)"
            );
        }
        if step_up.0.strict_routes {
            return Err(Cause::Misconfigured("the handler is mounted at another route").into());
        }
    }
    let principal = step_up.enforce(endpoint, parts).await?;
    parts.extensions.insert(Admitted(principal));
    Ok(())
}

/// Whether the request came by another route than the declared one. A handler without a declared
/// route is at home everywhere.
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
