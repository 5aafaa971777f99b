//! What the macros' code names. No promises are made about anything here.

pub use crate::guard::{Guard, GuardedEndpoint, Slot};
pub use crate::routes::{GuardedFn, Routed, Unrouted, mount, mount_at, record_of, router};
pub use stepup_contract::collect::STEPUP_RECORDS_0_1;
pub use stepup_contract::linkme;
pub use stepup_contract::record::{Policy, Record};
