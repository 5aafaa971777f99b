//! One endpoint: a route and what it requires.

use crate::model::http_method::HttpMethod;
use crate::model::requirement::{Field, Requirement, Trust};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::borrow::Cow;

/// One endpoint of a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoint {
    /// The HTTP method; every method if absent.
    pub method: Option<HttpMethod>,
    /// The path template in axum 0.8's syntax, without the contract's `base`.
    pub path: String,
    /// The handler's path in the source, for people.
    pub handler: Option<String>,
    /// What the endpoint does, in one line, for people.
    pub summary: Option<String>,
    /// Whether everybody may call the endpoint. The requirement is then empty.
    pub public: bool,
    /// Why the endpoint is public.
    pub reason: Option<String>,
    /// What a caller must satisfy.
    pub requirement: Requirement,
}

impl Endpoint {
    /// An endpoint at this path, for every method, without a handler name.
    pub fn new(path: impl Into<String>, requirement: Requirement) -> Self {
        Self {
            method: None,
            path: path.into(),
            handler: None,
            summary: None,
            public: false,
            reason: None,
            requirement,
        }
    }

    /// An endpoint at this path that everybody may call, for this reason.
    pub fn public(path: impl Into<String>, reason: impl Into<String>) -> Self {
        let endpoint = Self::new(path, Requirement::default());
        Self { public: true, reason: Some(reason.into()), ..endpoint }
    }

    /// The same endpoint for this method only.
    #[must_use]
    pub fn with_method(mut self, method: HttpMethod) -> Self {
        self.method = Some(method);
        self
    }

    /// The same endpoint with the path of its handler in the source.
    #[must_use]
    pub fn with_handler(mut self, handler: impl Into<String>) -> Self {
        self.handler = Some(handler.into());
        self
    }

    /// The same endpoint with a description of what it does, in one line.
    #[must_use]
    pub fn with_summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = Some(summary.into());
        self
    }

    /// How much trust the endpoint requires in its caller.
    pub fn trust(&self) -> Trust {
        if self.public { Trust::Public } else { self.requirement.trust() }
    }

    /// What a field requires, for people, or `not required`. For [`Field::StepUp`], the trust.
    pub(crate) fn field_text(&self, field: Field) -> String {
        match field {
            Field::StepUp => self.trust().as_str().to_owned(),
            field => self.requirement.field_text(field).unwrap_or_else(|| "not required".into()),
        }
    }

    /// Method and path, as in `POST /transfers/{id}`, or `any method /x`.
    pub fn route(&self) -> String {
        self.route_at(&self.path)
    }

    /// The method, and this path instead of the endpoint's.
    pub(crate) fn route_at(&self, path: &str) -> String {
        match self.method {
            Some(method) => format!("{method} {path}"),
            None => format!("any method {path}"),
        }
    }

    /// The route, and the handler if known, for messages.
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
        if let Some(summary) = &self.summary {
            map.serialize_entry("summary", summary)?;
        }
        if let Some(reason) = &self.reason {
            map.serialize_entry("reason", reason)?;
        }
        map.serialize_entry("security", &self.requirement)?;
        map.end()
    }
}

/// The path at which a router serves `path` when it is nested under `base`. axum serves an inner `/` at the base
/// itself, without a final slash.
pub fn joined<'a>(base: &'a str, path: &'a str) -> Cow<'a, str> {
    match (base, path) {
        ("", path) => path.into(),
        (base, "/") => base.into(),
        (base, path) => format!("{base}{path}").into(),
    }
}
