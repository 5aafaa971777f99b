//! How a guard finds the [`StepUp`] in the state of its router.

use crate::enforcement::step_up::StepUp;
use axum::extract::FromRef;
use std::sync::Arc;

/// A router's state that contains a [`StepUp`].
///
/// Implemented for every state with `StepUp: FromRef<State>`: `StepUp` itself, your own type with
/// `#[derive(FromRef)]` or an `impl FromRef<AppState> for StepUp`, and an `Arc` of any of these.
///
/// `routes!` reports a state without a `StepUp` by name. If you mount guarded handlers with `axum::routing`, the
/// compiler only says that `Handler` is not implemented. One line makes it name the state:
///
/// ```
/// # #[derive(Clone, axum::extract::FromRef)] struct AppState { step_up: stepup_runtime::StepUp }
/// const _: fn(AppState) = |state| drop(stepup_runtime::HasStepUp::step_up(&state));
/// ```
#[diagnostic::on_unimplemented(
    message = "the state `{Self}` contains no `StepUp`",
    label = "a guarded handler needs one in its router's state",
    note = "add it: `#[derive(Clone, axum::extract::FromRef)] struct AppState {{ step_up: StepUp, … }}`",
    note = "or write `impl FromRef<AppState> for StepUp`, or use a `StepUp` itself as the state; an `Arc` of the state works too"
)]
pub trait HasStepUp {
    /// The handle in this state.
    fn step_up(&self) -> StepUp;
}

#[diagnostic::do_not_recommend]
impl<S> HasStepUp for S
where
    StepUp: FromRef<S>,
{
    fn step_up(&self) -> StepUp {
        StepUp::from_ref(self)
    }
}

/// `Router<Arc<AppState>>` needs this implementation here: the orphan rule forbids it in the application.
#[diagnostic::do_not_recommend]
impl<S> FromRef<Arc<S>> for StepUp
where
    Self: FromRef<S>,
{
    fn from_ref(state: &Arc<S>) -> Self {
        Self::from_ref(&**state)
    }
}
