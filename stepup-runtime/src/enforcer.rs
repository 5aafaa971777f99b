//! A contract in force, for a program that has no guards of its own: finds the endpoint that takes a
//! request, and enforces what it asks. The tower layer and the gateway come through here, and the answer is
//! [`StepUp::enforce`]'s.

use crate::found::Found;
use crate::principal::Principal;
use crate::refusal::Refusal;
use crate::step_up::StepUp;
use http::request::Parts;
use std::fmt;
use std::sync::Arc;
use stepup_contract::{Contract, Matcher};

/// A contract and what enforces it. Cheap to clone.
#[derive(Clone)]
pub struct Enforcer(Arc<Inner>);

struct Inner {
    matcher: Matcher,
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

impl Enforcer {
    /// Enforces this contract. An endpoint that this version cannot enforce is logged here, and refuses
    /// every request.
    pub fn new(contract: &Contract, step_up: StepUp) -> Self {
        Self::with(Matcher::new(contract), contract, step_up)
    }

    /// Enforces it in front of a program that finds its endpoints by the path as it is written.
    pub(crate) fn as_written(contract: &Contract, step_up: StepUp) -> Self {
        Self::with(Matcher::new(contract).as_written(), contract, step_up)
    }

    fn with(matcher: Matcher, contract: &Contract, step_up: StepUp) -> Self {
        for endpoint in contract.endpoints() {
            if let Some(why) = step_up.unenforceable(&endpoint.requirement) {
                tracing::error!(
                    endpoint = endpoint.route(),
                    why,
                    "an endpoint refuses every request"
                );
            }
        }
        Self(Arc::new(Inner { matcher, step_up }))
    }

    /// Enforces the contract on a request's head. Its body is not looked at. The path is that of the
    /// [`OriginalUri`](axum::extract::OriginalUri), where there is one.
    ///
    /// # Errors
    /// The refusal, ready to be sent: that of the endpoint, 403 where no endpoint takes the request and the
    /// contract says `"unlisted": "deny"`, and 400 where a program could take it for another endpoint's.
    pub async fn enforce(&self, head: &Parts) -> Result<Admission, Refusal> {
        let Inner { matcher, step_up } = &*self.0;
        match Found::of(matcher, head)? {
            Found::Endpoint(endpoint) => {
                step_up.enforce(endpoint, head).await.map(Admission::Caller)
            }
            Found::Preflight => Ok(Admission::Preflight),
            Found::Unlisted => Ok(Admission::Unlisted),
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
