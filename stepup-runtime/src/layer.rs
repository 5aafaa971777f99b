//! A tower layer that enforces a contract on a service without annotations.

use crate::enforcer::{Admission, Enforcer};
use crate::principal::Admitted;
use crate::shown::Shown;
use crate::step_up::StepUp;
use axum::response::{IntoResponse, Response};
use http::Request;
use std::borrow::Borrow;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use stepup_contract::Contract;
use tower_layer::Layer;
use tower_service::Service;

/// Enforces a contract on any tower service: `.layer(ContractLayer::new(contract, step_up))`.
///
/// Requests that no endpoint takes follow the contract's `unlisted`; the others meet the very decision that
/// a guarded handler makes, before the service sees them. A handler behind it may take a
/// [`Principal`](crate::Principal), and may have a guard of its own.
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
/// A layer that answers CORS preflights goes outside of it. One on a nested router sees the whole path, as
/// the contract has it. The service is taken for one that finds its handlers by the path as it is written, as axum does:
/// where the contract says `"unlisted": "deny"`, `/p%61y` is refused with 400 and not taken for `/pay`, for to such a
/// service it may be something that is not listed. For one that decodes, make it of an [`Enforcer`].
#[derive(Debug, Clone)]
pub struct ContractLayer(Enforcer);

impl ContractLayer {
    /// Enforces this contract.
    pub fn new(contract: impl Borrow<Contract>, step_up: StepUp) -> Self {
        Self(Enforcer::as_written(contract.borrow(), step_up))
    }
}

impl From<Enforcer> for ContractLayer {
    fn from(enforcer: Enforcer) -> Self {
        Self(enforcer)
    }
}

impl<S> Layer<S> for ContractLayer {
    type Service = ContractService<S>;

    fn layer(&self, inner: S) -> ContractService<S> {
        ContractService { enforcer: self.0.clone(), inner }
    }
}

/// A service behind a [`ContractLayer`].
#[derive(Debug, Clone)]
pub struct ContractService<S> {
    enforcer: Enforcer,
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
        // The service that was polled ready takes the request; its clone is polled for the next one.
        let clone = self.inner.clone();
        let mut ready = mem::replace(&mut self.inner, clone);
        let enforcer = self.enforcer.clone();
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let admission = match enforcer.enforce(&head).await {
                Ok(admission) => admission,
                Err(refusal) => return Ok(refusal.into_response()),
            };
            if let Admission::Caller(principal) = admission {
                if principal.bound()
                    && let Some(shown) = Shown::new(enforcer.step_up(), &head)
                {
                    head.extensions.insert(shown);
                }
                head.extensions.insert(Admitted(principal));
            }
            ready.call(Request::from_parts(head, body)).await.map(IntoResponse::into_response)
        })
    }
}
