//! The extractors for the caller of a guarded handler.

use crate::axum::request::request_head;
use crate::dpop::verified_proof::VerifiedProof;
use crate::enforcement::contract_enforcer::ContractEnforcer;
use crate::enforcement::outcome::refuse_unguarded;
use crate::enforcement::principal::{AuthorizedPrincipal, Principal};
use crate::enforcement::step_up::StepUp;
use crate::refusal::Refusal;
use axum::body::Body;
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use stepup_contract::Endpoint;

/// A request to a public endpoint, whose credential was not read. The guard or the layer attaches it to the request.
#[derive(Clone)]
pub(crate) enum PublicCall {
    Guard(StepUp, &'static Endpoint),
    Layer(ContractEnforcer),
}

impl PublicCall {
    async fn identify(&self, parts: &Parts) -> Result<Option<Principal>, Refusal> {
        let proof = parts.extensions.get::<VerifiedProof>();
        let head = request_head(parts);
        match self {
            Self::Guard(step_up, endpoint) => step_up.identify(endpoint, head, proof).await,
            Self::Layer(enforcer) => enforcer.identify(head, proof).await,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        if let Some(AuthorizedPrincipal(principal)) = parts.extensions.get() {
            return Ok(principal.clone());
        }
        let fix = match parts.extensions.get::<PublicCall>() {
            Some(_) => {
                "the endpoint is public, so there may be no caller; take Option<Principal>, or require a token with \
                 trust = \"standard\""
            }
            None => "put #[step_up(trust = \"standard\")] on the handler, or what it requires",
        };
        tracing::error!(uri = %parts.uri.path(), fix, "a handler takes a Principal, and no guard has verified a caller");
        Err(refuse_unguarded())
    }
}

/// The caller of a public endpoint, if the request has a token. An invalid token is refused with the usual 401. At any
/// other endpoint, there always is a caller.
impl<S: Sync> OptionalFromRequestParts<S> for Principal {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Refusal> {
        let authorized = parts.extensions.get::<AuthorizedPrincipal>().is_some();
        let call = parts.extensions.get::<PublicCall>().filter(|_| !authorized).cloned();
        let Some(call) = call else {
            return <Self as FromRequestParts<S>>::from_request_parts(parts, state).await.map(Some);
        };
        let principal = call.identify(parts).await?;
        if let Some(principal) = &principal {
            parts.extensions.insert(AuthorizedPrincipal(principal.clone()));
        }
        Ok(principal)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.to_response().map(Body::from)
    }
}
