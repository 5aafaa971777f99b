//! The enforcement of a whole contract, for a service without guards: finds the endpoint that a request matches, and
//! enforces its requirement. The tower layer and the gateway use it.

use crate::dpop::verified_proof::VerifiedProof;
use crate::enforcement::enforcement_future::Enforcement;
use crate::enforcement::outcome::OutcomeContext;
use crate::enforcement::principal::Principal;
use crate::enforcement::step_up::StepUp;
use crate::refusal::{Cause, Misconfiguration, Refusal};
use crate::request::endpoint_lookup::EndpointLookup;
use crate::request::head::RequestHead;
use crate::request::overrides::OverrideCheck;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use stepup_contract::{Contract, Matcher};

/// A contract together with the [`StepUp`] that enforces it. Cheap to clone.
#[derive(Clone)]
pub struct ContractEnforcer(Arc<Inner>);

struct Inner {
    matcher: Matcher,
    overrides: OverrideCheck,
    step_up: StepUp,
}

/// Why a request is allowed.
#[derive(Debug, Clone)]
#[non_exhaustive]
#[must_use = "an admission authorizes nothing unless the request is passed on"]
pub enum Admission {
    /// The caller satisfies the endpoint that the request matches.
    Caller(Principal),
    /// The request matches a public endpoint, or asks for this API's metadata (RFC 9728). No credential was read.
    Public,
    /// The request is a CORS preflight for an endpoint. A preflight has no credential and runs no handler.
    Preflight,
    /// No endpoint matches, and the contract says `"unlisted": "allow"`.
    Unlisted,
}

impl Admission {
    /// The caller, if the request matches an endpoint that requires a credential.
    pub fn principal(&self) -> Option<&Principal> {
        match self {
            Self::Caller(principal) => Some(principal),
            _ => None,
        }
    }
}

impl ContractEnforcer {
    /// Enforces this contract in front of any server. Requests are refused if some server could take them for another
    /// request. An endpoint that this version cannot enforce is logged now, and refuses every request.
    pub fn new(contract: &Contract, step_up: StepUp) -> Self {
        Self::with(Matcher::new(contract), OverrideCheck::Refuse, contract, step_up)
    }

    /// Enforces this contract in the same process as the service, which routes by the path as written and reads no
    /// header that overrides the request line.
    pub(crate) fn in_process(contract: &Contract, step_up: StepUp) -> Self {
        Self::with(Matcher::new(contract).as_written(), OverrideCheck::Ignore, contract, step_up)
    }

    fn with(
        matcher: Matcher,
        overrides: OverrideCheck,
        contract: &Contract,
        step_up: StepUp,
    ) -> Self {
        for endpoint in contract.endpoints() {
            if let Some(reason) = step_up.unenforceable(&endpoint.requirement) {
                let route = endpoint.route();
                tracing::error!(route, reason, "an endpoint refuses every request");
            }
        }
        step_up.0.contract_enforced.store(true, Ordering::Relaxed);
        Self(Arc::new(Inner { matcher, overrides, step_up }))
    }

    /// Enforces the contract on a request's head. The body is not read. The result is ready at once, unless only the
    /// token's issuer can confirm the token.
    ///
    /// Besides the refusals of the endpoint, the result is a refusal with status 403 if no endpoint matches and the
    /// contract says `"unlisted": "deny"`, and with status 400 if a server could interpret the request as another
    /// request.
    pub fn enforce<'a>(&'a self, head: RequestHead<'a>) -> Enforcement<'a, Admission> {
        self.enforce_after(head, None)
    }

    /// Like [`enforce`](Self::enforce), for a request whose proof may have been verified before.
    pub(crate) fn enforce_after<'a>(
        &'a self,
        head: RequestHead<'a>,
        proof: Option<&'a VerifiedProof>,
    ) -> Enforcement<'a, Admission> {
        let Inner { matcher, overrides, step_up } = &*self.0;
        let lookup = step_up.0.limits.check_target(&head).map_err(Cause::from);
        let lookup = lookup.and_then(|()| EndpointLookup::find(matcher, &head, *overrides));
        match lookup {
            Ok(EndpointLookup::Endpoint(endpoint)) => {
                let enforcement = step_up.enforce_after(endpoint, head, proof);
                enforcement.map(|caller| caller.map_or(Admission::Public, Admission::Caller))
            }
            Ok(EndpointLookup::Preflight) => self.admit(head, Admission::Preflight),
            Ok(EndpointLookup::Unlisted) => self.admit(head, Admission::Unlisted),
            Err(Cause::Unlisted) if step_up.serves_publicly(&head) => {
                self.admit(head, Admission::Public)
            }
            Err(cause) => Enforcement::ready(Err(self.refuse(Some(head), cause))),
        }
    }

    /// The caller of the public endpoint that this request matches, if the request has a credential.
    ///
    /// # Errors
    /// If the credential is not valid, or the request matches no public endpoint.
    pub(crate) async fn identify(
        &self,
        head: RequestHead<'_>,
        proof: Option<&VerifiedProof>,
    ) -> Result<Option<Principal>, Refusal> {
        let Inner { matcher, overrides, step_up } = &*self.0;
        match EndpointLookup::find(matcher, &head, *overrides) {
            Ok(EndpointLookup::Endpoint(endpoint)) if endpoint.public => {
                step_up.identify(endpoint, head, proof).await
            }
            _ => Err(self.refuse(Some(head), Misconfiguration::NotGuarded.into())),
        }
    }

    fn admit<'a>(&self, head: RequestHead<'a>, admission: Admission) -> Enforcement<'a, Admission> {
        let context = OutcomeContext { head: Some(head), ..OutcomeContext::default() };
        Enforcement::ready(self.0.step_up.conclude(&context, Ok(admission)))
    }

    /// The refusal of a request for a reason that the caller has found, complete and logged like every other refusal.
    pub fn refuse(&self, head: Option<RequestHead<'_>>, cause: Cause) -> Refusal {
        self.0.step_up.refuse(&OutcomeContext { head, ..OutcomeContext::default() }, cause.into())
    }

    /// The handle that enforces.
    pub fn step_up(&self) -> &StepUp {
        &self.0.step_up
    }
}

impl fmt::Debug for ContractEnforcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContractEnforcer").field("step_up", &self.0.step_up).finish_non_exhaustive()
    }
}
