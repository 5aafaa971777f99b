//! The items that generated code names. No stability promises apply to them.

#[cfg(feature = "axum")]
pub use crate::axum::guard::{Guard, GuardedEndpoint, Slot};
#[cfg(feature = "axum")]
pub use crate::axum::routes::{GuardedFn, Routed, Unrouted, mount, mount_at, record_of, router};
pub use stepup_contract::collect::STEPUP_RECORDS_0_1;
pub use stepup_contract::linkme;
pub use stepup_contract::record::{Policy, Record};
