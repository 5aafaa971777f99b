#[derive(Clone)]
struct AppState {}

// With `axum::routing`, the compiler only says that `Handler` is not implemented. This line names the state.
const _: fn(AppState) = |state| drop(stepup_runtime::HasStepUp::step_up(&state));

fn main() {}
