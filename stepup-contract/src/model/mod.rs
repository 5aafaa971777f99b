//! The vocabulary: methods, risk, requirements, endpoints and the contract, as types that serialize to the JSON form.
//!
//! Not here: parsing and routing. Uses `text`.

mod contract;
mod endpoint;
mod error;
mod http_method;
mod method;
mod requirement;
mod risk;

pub(crate) use contract::FORMAT;
pub use contract::{Contract, Unlisted};
pub use endpoint::{Endpoint, joined};
pub use error::{ContractError, ContractErrors};
pub use http_method::HttpMethod;
pub(crate) use http_method::methods;
pub(crate) use method::CUSTOM;
pub use method::{Method, MethodSet};
pub(crate) use requirement::NO_LEVEL;
pub use requirement::{Field, Requirement, RequirementError, Trust};
pub use risk::{RiskLevel, RiskRule};
