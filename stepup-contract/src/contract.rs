//! The contract: all endpoints of one service, as one document with one canonical form.

use crate::document;
use crate::endpoint::Endpoint;
use crate::error::{ContractError, ContractErrors};
use crate::http_method::HttpMethod;
use crate::json::{Unknown, check_endpoint};
use crate::path::{check_path, joined};
use crate::samples::without_names;
use crate::table::Table;
use serde::ser::{Serialize, SerializeMap, Serializer};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::HashSet;

/// The version of the contract's format that this crate reads and writes.
pub(crate) const FORMAT: u64 = 1;

/// What an enforcer does with a request that no endpoint matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unlisted {
    /// Refuse it.
    #[default]
    Deny,
    /// Let it pass unguarded.
    Allow,
}

/// All endpoints of one service with their security. A value of this type is valid: it was built by
/// [`Contract::collect`], [`Contract::parse`] or [`Contract::new`], which check every rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    service: String,
    version: String,
    unlisted: Unlisted,
    base: Option<String>,
    endpoints: Vec<Endpoint>,
}

impl Contract {
    /// A contract of these endpoints, in any order.
    ///
    /// # Errors
    /// Everything that is wrong with it: requirements that ask for nothing, paths that cannot be
    /// read, endpoints that match the same requests.
    pub fn new(
        service: impl Into<String>,
        version: impl Into<String>,
        endpoints: impl IntoIterator<Item = Endpoint>,
    ) -> Result<Self, ContractErrors> {
        Self::checked(service.into(), version.into(), Unlisted::Deny, None, numbered(endpoints))
            .map(|(contract, _)| contract)
    }

    /// The only way into the type: checks the endpoints and sorts them. Beside each endpoint stands where it
    /// was written, for errors; the places come back in the order of the endpoints.
    pub(crate) fn checked(
        service: String,
        version: String,
        unlisted: Unlisted,
        base: Option<String>,
        mut endpoints: Vec<(String, Endpoint)>,
    ) -> Result<(Self, Vec<String>), ContractErrors> {
        let mut errors = Vec::new();
        if let Some(base) = &base
            && let Err(why) = check_base(base)
        {
            errors.push(ContractError::Field { pointer: "/base".into(), message: why });
        }
        for (pointer, endpoint) in &endpoints {
            check_endpoint(endpoint, pointer, &mut errors);
        }
        // Stable, so that of two that take the same requests the first stays the first.
        endpoints.sort_by(|(_, a), (_, b)| (&a.path, a.method).cmp(&(&b.path, b.method)));
        // Paths that cannot be read take no requests that could be compared.
        let wrong: HashSet<&str> = errors.iter().filter_map(ContractError::pointer).collect();
        let base = base.filter(|_| !wrong.contains("/base"));
        endpoints.retain(|(pointer, _)| {
            wrong.is_empty() || !wrong.contains(&*format!("{pointer}/path"))
        });
        let (pointers, endpoints): (Vec<String>, _) = endpoints.into_iter().unzip();
        let contract = Self { service, version, unlisted, base, endpoints };
        Table::build(&contract, &pointers, &mut errors);
        ContractErrors::or_ok(errors, (contract, pointers))
    }

    /// Reads a contract as an enforcer must: every rule of the format, and unknown fields are an
    /// error (keys that begin with `x-` are ignored). The short form is accepted too: one endpoint
    /// `{"path": …, "security": …}` alone, or an array of them.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with a JSON pointer.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, ContractErrors> {
        Self::located(text).map(|(contract, _)| contract)
    }

    /// As [`Contract::parse`], and where in the text each endpoint stands: a JSON pointer (RFC 6901) for each
    /// of [`Contract::endpoints`], in their order.
    ///
    /// # Errors
    /// As [`Contract::parse`].
    pub fn located(text: impl AsRef<[u8]>) -> Result<(Self, Vec<String>), ContractErrors> {
        let read = document::read(text.as_ref(), Unknown::Refuse)?;
        Ok((read.contract, read.pointers))
    }

    /// Whose contract this is.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The service's version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What happens to requests that no endpoint matches.
    pub fn unlisted(&self) -> Unlisted {
        self.unlisted
    }

    /// The prefix under which all endpoints are nested, as in `/api`.
    pub fn base(&self) -> Option<&str> {
        self.base.as_deref()
    }

    /// The template of the whole path of one of its endpoints, [`Contract::base`] included.
    pub fn whole_path<'a>(&'a self, endpoint: &'a Endpoint) -> Cow<'a, str> {
        joined(self.base().unwrap_or_default(), &endpoint.path)
    }

    /// Method and whole path of one of its endpoints, as in `POST /api/transfers/{id}`.
    pub fn route(&self, endpoint: &Endpoint) -> String {
        endpoint.route_at(&self.whole_path(endpoint))
    }

    /// Method and whole path of one of its endpoints without the names of its parameters: what a waiver's
    /// fingerprint holds of it. It is not for people.
    pub fn nameless_route(&self, endpoint: &Endpoint) -> String {
        let method = endpoint.method.map_or("any", HttpMethod::as_str);
        format!("{method} {}", without_names(&self.whole_path(endpoint)))
    }

    /// The endpoints, sorted by path, then method.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The table that finds the endpoint of a request.
    pub fn table(&self) -> Table {
        Table::build(self, &[], &mut Vec::new())
    }

    /// The canonical JSON: sorted endpoints, stable key order, two-space indent, a newline at the
    /// end. The same contract always gives the same bytes.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// SHA-256 of [`Contract::to_json`], in lower-case hexadecimal.
    pub fn digest(&self) -> String {
        Sha256::digest(self.to_json()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The endpoints with the places that they have in the array of a contract.
pub(crate) fn numbered(endpoints: impl IntoIterator<Item = Endpoint>) -> Vec<(String, Endpoint)> {
    let endpoints = endpoints.into_iter().enumerate();
    endpoints.map(|(index, endpoint)| (format!("/endpoints/{index}"), endpoint)).collect()
}

/// A contract to look at, whose unknown fields were left out. It is no [`Contract`], since what was
/// left out may have been a requirement, and nothing must be enforced without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractView {
    contract: Contract,
    warnings: Vec<ContractError>,
}

impl ContractView {
    /// Reads a contract to show it: as [`Contract::parse`], but unknown fields become warnings.
    ///
    /// # Errors
    /// Everything else that is wrong with it.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, ContractErrors> {
        let read = document::read(text.as_ref(), Unknown::Warn)?;
        Ok(Self { contract: read.contract, warnings: read.warnings })
    }

    /// The fields that are not known, and are not shown therefore.
    pub fn warnings(&self) -> &[ContractError] {
        &self.warnings
    }

    /// Whose contract this is.
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

    /// The template of the whole path of one of its endpoints, the base included.
    pub fn whole_path<'a>(&'a self, endpoint: &'a Endpoint) -> Cow<'a, str> {
        self.contract.whole_path(endpoint)
    }

    /// Method and whole path of one of its endpoints, as in `POST /api/transfers/{id}`.
    pub fn route(&self, endpoint: &Endpoint) -> String {
        self.contract.route(endpoint)
    }

    /// The table that finds the endpoint of a request, as far as endpoints are understood.
    pub fn table(&self) -> Table {
        self.contract.table()
    }

    /// The endpoints, as far as they are understood.
    pub fn endpoints(&self) -> &[Endpoint] {
        self.contract.endpoints()
    }

    /// The digest of the contract; none of one that is not understood as a whole.
    pub fn digest(&self) -> Option<String> {
        self.warnings.is_empty().then(|| self.contract.digest())
    }
}

impl From<Contract> for ContractView {
    fn from(contract: Contract) -> Self {
        Self { contract, warnings: Vec::new() }
    }
}

/// Checks a base: a path without parameters and without a slash at the end.
///
/// # Errors
/// What is wrong with it.
pub fn check_base(base: &str) -> Result<(), String> {
    match crate::path::parameters(base) {
        Err(why) => Err(why.to_string()),
        Ok(names) if !names.is_empty() => Err("a base has no parameters".into()),
        Ok(_) if base.ends_with('/') => Err("a base does not end with `/`; write \"/api\"".into()),
        Ok(_) => check_path(base).map_err(|why| why.to_string()),
    }
}

impl Serialize for Contract {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("contract", &FORMAT)?;
        map.serialize_entry("service", &self.service)?;
        map.serialize_entry("version", &self.version)?;
        map.serialize_entry("unlisted", &self.unlisted)?;
        if let Some(base) = &self.base {
            map.serialize_entry("base", base)?;
        }
        map.serialize_entry("endpoints", &self.endpoints)?;
        map.end()
    }
}
