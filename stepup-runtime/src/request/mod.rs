//! A request before its token is verified: its head, its one credential, the endpoint that it matches, and headers
//! that other servers could read as another request.
//!
//! Not here: any HTTP framework. Uses `refusal` and the contract's `Matcher`.

pub(crate) mod credential;
pub(crate) mod endpoint_lookup;
pub(crate) mod head;
pub(crate) mod header_name;
pub(crate) mod limits;
pub(crate) mod overrides;
