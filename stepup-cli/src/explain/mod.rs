//! Why a token is authorized at an endpoint or not, step by step, and how a client can recover.
//!
//! Uses `settings`, `contract_file`, `request` and `report`.

pub(crate) mod explanation;
pub(crate) mod presented;
mod unverified;
mod verdict;
