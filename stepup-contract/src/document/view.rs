//! A contract to display, whose unknown fields were ignored.

use crate::document::json::UnknownFields;
use crate::document::parse::parse;
use crate::model::{Contract, ContractError, ContractErrors, Endpoint, Unlisted};
use crate::routing::Table;
use std::borrow::Cow;

/// A contract to display, whose unknown fields were ignored. It is not a [`Contract`]: an unknown field may be a
/// requirement, and nothing may be enforced without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractView {
    contract: Contract,
    warnings: Vec<ContractError>,
}

impl ContractView {
    /// Parses a contract as [`Contract::parse`] does, except that unknown fields become warnings.
    ///
    /// # Errors
    /// All other problems.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, ContractErrors> {
        let document = parse(text.as_ref(), UnknownFields::Warn)?;
        Ok(Self { contract: document.contract, warnings: document.warnings })
    }

    /// The unknown fields, which are not displayed.
    pub fn warnings(&self) -> &[ContractError] {
        &self.warnings
    }

    /// The name of the service.
    pub fn service(&self) -> &str {
        self.contract.service()
    }

    /// The service's version.
    pub fn version(&self) -> &str {
        self.contract.version()
    }

    /// What happens to requests that no endpoint matches.
    pub fn unlisted(&self) -> Unlisted {
        self.contract.unlisted()
    }

    /// The prefix under which all endpoints are nested, as in `/api`.
    pub fn base(&self) -> Option<&str> {
        self.contract.base()
    }

    /// The template of the whole path of one of its endpoints, including the base.
    pub fn whole_path<'a>(&'a self, endpoint: &'a Endpoint) -> Cow<'a, str> {
        self.contract.whole_path(endpoint)
    }

    /// The method and the whole path of one of its endpoints, as in `POST /api/transfers/{id}`.
    pub fn route(&self, endpoint: &Endpoint) -> String {
        self.contract.route(endpoint)
    }

    /// The table that finds the endpoint of a request.
    pub fn table(&self) -> Table {
        self.contract.table()
    }

    /// The endpoints, without their unknown fields.
    pub fn endpoints(&self) -> &[Endpoint] {
        self.contract.endpoints()
    }

    /// The digest of the contract, if it has no unknown fields.
    pub fn digest(&self) -> Option<String> {
        self.warnings.is_empty().then(|| self.contract.digest())
    }
}

impl From<Contract> for ContractView {
    fn from(contract: Contract) -> Self {
        Self { contract, warnings: Vec::new() }
    }
}
