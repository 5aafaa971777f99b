//! The contract: all endpoints of one service, as one document with one canonical form.

use crate::model::endpoint::{Endpoint, joined};
use serde::ser::{Serialize, SerializeMap, Serializer};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// The version of the contract's format that this crate reads and writes.
pub(crate) const FORMAT: u64 = 1;

/// What an enforcer does with a request that no endpoint matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unlisted {
    /// Refuse the request.
    #[default]
    Deny,
    /// Allow the request without any check.
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
    /// A contract of these parts. Only validation may call this: it checks every rule, and sorts the endpoints.
    pub(crate) fn from_parts(
        service: String,
        version: String,
        unlisted: Unlisted,
        base: Option<String>,
        endpoints: Vec<Endpoint>,
    ) -> Self {
        Self { service, version, unlisted, base, endpoints }
    }

    /// The name of the service.
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

    /// The template of the whole path of one of its endpoints, including [`Contract::base`].
    pub fn whole_path<'a>(&'a self, endpoint: &'a Endpoint) -> Cow<'a, str> {
        joined(self.base().unwrap_or_default(), &endpoint.path)
    }

    /// The method and the whole path of one of its endpoints, as in `POST /api/transfers/{id}`.
    pub fn route(&self, endpoint: &Endpoint) -> String {
        endpoint.route_at(&self.whole_path(endpoint))
    }

    /// The endpoints, sorted by path, then method.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The canonical JSON: sorted endpoints, stable key order, two-space indent, a final newline. The same contract
    /// always gives the same bytes.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The SHA-256 digest of [`Contract::to_json`], in lower-case hexadecimal.
    pub fn digest(&self) -> String {
        Sha256::digest(self.to_json()).iter().map(|byte| format!("{byte:02x}")).collect()
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
