//! One endpoint: a route and what it asks.

use crate::http_method::HttpMethod;
use crate::requirement::{Requirement, Trust};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// One endpoint of a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The HTTP method; every method when absent.
    pub method: Option<HttpMethod>,
    /// The path template in axum 0.8's syntax, without the contract's `base`.
    pub path: String,
    /// The handler's path in the source, for people.
    pub handler: Option<String>,
    /// What is asked of a caller.
    pub requirement: Requirement,
}

impl Endpoint {
    /// How far a caller must be trusted.
    pub fn trust(&self) -> Trust {
        self.requirement.trust()
    }

    /// Method and path, as in `POST /transfers/{id}`, or `any method /x`.
    pub fn route(&self) -> String {
        self.route_at(&self.path)
    }

    /// Method and path, where the path is another one.
    pub(crate) fn route_at(&self, path: &str) -> String {
        match self.method {
            Some(method) => format!("{method} {path}"),
            None => format!("any method {path}"),
        }
    }

    /// The route, and the handler where known: what a message calls this endpoint.
    pub(crate) fn name(&self) -> String {
        let handler = self.handler.as_ref().map(|handler| format!(" ({handler})"));
        format!("{}{}", self.route(), handler.unwrap_or_default())
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(method) = &self.method {
            map.serialize_entry("method", method)?;
        }
        map.serialize_entry("path", &self.path)?;
        map.serialize_entry("trust", &self.trust())?;
        if let Some(handler) = &self.handler {
            map.serialize_entry("handler", handler)?;
        }
        map.serialize_entry("security", &self.requirement)?;
        map.end()
    }
}
