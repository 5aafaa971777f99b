//! The functions that `routes!` calls: find the endpoint of a handler by its type, and mount the handler.

use crate::axum::guard::{Guard, GuardedEndpoint};
use crate::axum::state::HasStepUp;
use crate::enforcement::enforceability::{Capabilities, unenforceable};
use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, any, on};
use stepup_contract::collect::read_endpoint;
use stepup_contract::record::Record;
use stepup_contract::{Endpoint, HttpMethod};

/// A handler whose first argument is a guard. `A` is the tuple of its arguments.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a guarded handler",
    label = "this handler has no `#[step_up(…)]`",
    note = "put `#[step_up(get = \"/path\", trust = \"standard\")]` on it, or what it requires",
    note = "handlers without a guard are mounted with `Router::route`"
)]
pub trait GuardedFn<A> {
    /// The type that carries the handler's endpoint.
    type Endpoint: GuardedEndpoint;
}

/// An endpoint whose attribute has a route.
#[diagnostic::on_unimplemented(
    message = "the handler of `{Self}` has no route",
    label = "where is this handler mounted?",
    note = "put the route on its attribute, as in `#[step_up(post = \"/path\", …)]`",
    note = "or give it here, as in `routes![POST \"/path\" => handler]`"
)]
pub trait Routed: GuardedEndpoint {}

/// An endpoint whose attribute has no route.
#[diagnostic::on_unimplemented(
    message = "the handler of `{Self}` has two routes",
    label = "its attribute has a route already",
    note = "leave the route out here, as in `routes![handler]`, or on its attribute"
)]
pub trait Unrouted: GuardedEndpoint {}

macro_rules! guarded_fn {
    ($($argument:ident)*) => {
        impl<F, R, E, $($argument,)*> GuardedFn<(Guard<E>, $($argument,)*)> for F
        where
            F: Fn(Guard<E>, $($argument,)*) -> R,
            E: GuardedEndpoint,
        {
            type Endpoint = E;
        }
    };
}

guarded_fn!();
guarded_fn!(T1);
guarded_fn!(T1 T2);
guarded_fn!(T1 T2 T3);
guarded_fn!(T1 T2 T3 T4);
guarded_fn!(T1 T2 T3 T4 T5);
guarded_fn!(T1 T2 T3 T4 T5 T6);
guarded_fn!(T1 T2 T3 T4 T5 T6 T7);
guarded_fn!(T1 T2 T3 T4 T5 T6 T7 T8);
guarded_fn!(T1 T2 T3 T4 T5 T6 T7 T8 T9);
guarded_fn!(T1 T2 T3 T4 T5 T6 T7 T8 T9 T10);
guarded_fn!(T1 T2 T3 T4 T5 T6 T7 T8 T9 T10 T11);
guarded_fn!(T1 T2 T3 T4 T5 T6 T7 T8 T9 T10 T11 T12);
guarded_fn!(T1 T2 T3 T4 T5 T6 T7 T8 T9 T10 T11 T12 T13);
guarded_fn!(T1 T2 T3 T4 T5 T6 T7 T8 T9 T10 T11 T12 T13 T14);
guarded_fn!(T1 T2 T3 T4 T5 T6 T7 T8 T9 T10 T11 T12 T13 T14 T15);

/// An empty router whose state must contain a `StepUp`.
pub fn router<S>() -> Router<S>
where
    S: HasStepUp + Clone + Send + Sync + 'static,
{
    Router::new()
}

/// The record of a handler whose route is given in `routes!`, at compile time.
pub const fn record_of<F, A>(_: &F) -> Record
where
    F: GuardedFn<A>,
    F::Endpoint: Unrouted,
{
    <F::Endpoint as GuardedEndpoint>::RECORD
}

/// Mounts a handler at the route of its attribute.
///
/// # Panics
/// If the endpoint cannot be enforced, or axum cannot mount the handler.
pub fn mount<F, A, T, S>(router: Router<S>, handler: F) -> Router<S>
where
    F: GuardedFn<A> + Handler<T, S>,
    F::Endpoint: Routed,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    let endpoint = enforceable(F::Endpoint::slot().endpoint());
    router.route(&endpoint.path, method_router(endpoint.method, handler))
}

/// Mounts a handler at the route in this line, which `routes!` has built from the handler's [`record_of`].
///
/// # Panics
/// If the endpoint cannot be enforced, or axum cannot mount the handler.
pub fn mount_at<F, T, S>(router: Router<S>, handler: F, line: &'static [u8]) -> Router<S>
where
    F: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    let endpoint = read_endpoint(line).ok();
    let endpoint = enforceable(endpoint.as_ref());
    router.route(&endpoint.path, method_router(endpoint.method, handler))
}

fn method_router<F, T, S>(method: Option<HttpMethod>, handler: F) -> MethodRouter<S>
where
    F: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    let filter = match method {
        Some(HttpMethod::Delete) => MethodFilter::DELETE,
        Some(HttpMethod::Get) => MethodFilter::GET,
        Some(HttpMethod::Head) => MethodFilter::HEAD,
        Some(HttpMethod::Options) => MethodFilter::OPTIONS,
        Some(HttpMethod::Patch) => MethodFilter::PATCH,
        Some(HttpMethod::Post) => MethodFilter::POST,
        Some(HttpMethod::Put) => MethodFilter::PUT,
        // An unknown method must not widen the route to every method.
        Some(other) => unmountable(&format!("{other} cannot be mounted")),
        None => return any(handler),
    };
    on(filter, handler)
}

fn enforceable(endpoint: Option<&Endpoint>) -> &Endpoint {
    let Some(endpoint) = endpoint else { unmountable("an endpoint's record cannot be parsed") };
    if let Some(reason) = unenforceable(&endpoint.requirement, Capabilities::ALL) {
        let handler = endpoint.handler.as_deref().unwrap_or_default();
        unmountable(&format!("{} ({handler}) cannot be mounted: {reason}", endpoint.route()));
    }
    endpoint
}

#[expect(
    clippy::panic,
    reason = "routers are built at start, and axum panics for an invalid route too"
)]
fn unmountable(reason: &str) -> ! {
    panic!("{reason}")
}
