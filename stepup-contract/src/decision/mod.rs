//! The one decision: whether this authentication satisfies this requirement now, the challenge for a refusal, and the
//! decision explained step by step.
//!
//! Not here: how an issuer's claims become an authentication (`profile`). Uses `profile` and `model`.

mod challenge;
mod decide;
mod evidence;
mod trace;

pub use challenge::Challenge;
pub use decide::{Decision, Lacking, Reason, decide};
pub use evidence::Evidence;
pub use trace::{Step, trace};
