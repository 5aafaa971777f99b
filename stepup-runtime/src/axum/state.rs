//! How a guard finds the [`StepUp`] in the state of its router.

use crate::enforcement::step_up::StepUp;
use axum::extract::FromRef;
use std::sync::Arc;

/// A router's state that contains a [`StepUp`].
///
/// Implemented for every state with `StepUp: FromRef<State>`: `StepUp` itself, and your own type with
/// `#[derive(FromRef)]` or an `impl FromRef<AppState> for StepUp`.
#[diagnostic::on_unimplemented(
    message = "the state `{Self}` contains no `StepUp`",
    label = "a guarded handler needs one in its router's state",
    note = "add it: `#[derive(Clone, axum::extract::FromRef)] struct AppState {{ step_up: StepUp, … }}`",
    note = "or write `impl FromRef<{Self}> for StepUp`, or use a `StepUp` itself as the state"
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

/// A second implementation, so that the compiler does not infer `S = StepUp` as the only possibility.
impl FromRef<Arc<StepUp>> for StepUp {
    fn from_ref(step_up: &Arc<StepUp>) -> Self {
        Self::clone(step_up)
    }
}
