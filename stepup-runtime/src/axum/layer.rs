//! A tower layer that enforces a contract on a whole service: on handlers without guards too.

use crate::axum::extract::PublicCall;
use crate::axum::request::{is_rewritten, request_head};
use crate::axum::unlisted_routes::UnlistedRoutes;
use crate::dpop::verified_proof::VerifiedProof;
use crate::enforcement::contract_enforcer::{Admission, ContractEnforcer};
use crate::enforcement::principal::AuthorizedPrincipal;
use crate::enforcement::step_up::StepUp;
use crate::refusal::{Cause, Misconfiguration, Refusal};
use crate::request::overrides::H2C;
use axum::response::{IntoResponse, Response};
use http::header::UPGRADE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request};
use std::borrow::Borrow;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use stepup_contract::Contract;
use tower_layer::Layer;
use tower_service::Service;

/// Enforces a contract on any tower service: `.layer(ContractLayer::new(contract, step_up))`. For an axum router,
/// [`StepUp::protect`] does this with the program's own contract.
///
/// A request that matches no endpoint follows the contract's `unlisted`. Any other request gets the same decision as in
/// a guarded handler, before the service receives the request. A handler behind the layer may take a
/// [`Principal`](crate::Principal), and may have its own guard.
///
/// ```
/// use axum::{Router, routing::post};
/// use stepup_runtime::{Contract, ContractLayer, Principal, StepUp};
///
/// async fn approve(user: Principal) -> String {
///     format!("approved by {}", user.subject())
/// }
///
/// fn app(contract: &Contract, step_up: StepUp) -> Router {
///     Router::new()
///         .route("/approve-transaction", post(approve))
///         .layer(ContractLayer::new(contract, step_up))
/// }
/// ```
///
/// Put a layer that answers CORS preflights outside of this one. On a nested router, the layer sees the whole path, as
/// the contract does.
///
/// The service is expected to route by the path as written, as axum does: under `"unlisted": "deny"`, `/p%61y` is
/// refused with 400 instead of being treated as `/pay`, because such a service may route it to a handler that is not
/// listed. The service is also expected to ignore headers that override the method or the path, as axum does. For a
/// service that decodes paths or reads such headers, a proxy for example, create the layer from a
/// [`ContractEnforcer`]: `ContractLayer::from(ContractEnforcer::new(&contract, step_up))`.
#[derive(Debug, Clone)]
pub struct ContractLayer {
    enforcer: ContractEnforcer,
    unlisted_routes: UnlistedRoutes,
}

impl ContractLayer {
    /// Enforces this contract in front of a service that routes as axum does.
    pub fn new(contract: impl Borrow<Contract>, step_up: StepUp) -> Self {
        ContractEnforcer::in_process(contract.borrow(), step_up).into()
    }
}

impl From<ContractEnforcer> for ContractLayer {
    fn from(enforcer: ContractEnforcer) -> Self {
        Self { enforcer, unlisted_routes: UnlistedRoutes::default() }
    }
}

impl<S> Layer<S> for ContractLayer {
    type Service = ContractService<S>;

    fn layer(&self, inner: S) -> ContractService<S> {
        ContractService { layer: self.clone(), inner }
    }
}

/// A service behind a [`ContractLayer`].
#[derive(Debug, Clone)]
pub struct ContractService<S> {
    layer: ContractLayer,
    inner: S,
}

impl<S, B> Service<Request<B>> for ContractService<S>
where
    S: Service<Request<B>> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was polled ready handles this request; its clone is polled for the next one.
        let clone = self.inner.clone();
        let mut ready = mem::replace(&mut self.inner, clone);
        let layer = self.layer.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            if let Err(refusal) = enforce(&layer.enforcer, &mut parts).await {
                if *refusal.cause() == Cause::Unlisted {
                    layer.unlisted_routes.report(&parts);
                }
                return Ok(refusal.into_response());
            }
            remove_h2c_offer(&mut parts.headers);
            ready.call(Request::from_parts(parts, body)).await.map(IntoResponse::into_response)
        })
    }
}

/// Removes an offer of h2c, so that nothing behind the layer accepts it.
fn remove_h2c_offer(headers: &mut HeaderMap) {
    let offers = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(H2C);
    if headers.get_all(UPGRADE).iter().any(offers) {
        headers.remove(UPGRADE);
        headers.remove("http2-settings");
    }
}

async fn enforce(enforcer: &ContractEnforcer, parts: &mut Parts) -> Result<(), Refusal> {
    let head = request_head(parts);
    if is_rewritten(parts) {
        tracing::error!(
            path = parts.uri.path(),
            "something between the outermost router and the contract layer has changed the path of a request; put the \
             layer outside of it"
        );
        return Err(enforcer.refuse(Some(head), Misconfiguration::PathRewritten.into()));
    }
    let proof = parts.extensions.get::<VerifiedProof>();
    match enforcer.enforce_after(head, proof).await? {
        Admission::Caller(principal) => {
            let proofs = enforcer.step_up().0.proofs.as_ref();
            let proof = proofs.filter(|_| principal.bound());
            if let Some(proof) = proof.and_then(|proofs| VerifiedProof::new(proofs, &head)) {
                parts.extensions.insert(proof);
            }
            parts.extensions.insert(AuthorizedPrincipal(principal));
        }
        Admission::Public => {
            parts.extensions.insert(PublicCall::Layer(enforcer.clone()));
        }
        Admission::Preflight | Admission::Unlisted => {}
    }
    Ok(())
}
