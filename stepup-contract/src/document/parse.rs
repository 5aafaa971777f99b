//! Parses a contract document, or the short form, in two phases: first the types of all values, then the rules. Each
//! phase reports all of its problems; rules are only checked if all types are right.

use crate::document::endpoint::EndpointDraft;
use crate::document::json::{Object, Reader, UnknownFields};
use crate::model::{Contract, ContractError, ContractErrors, FORMAT, Unlisted};
use crate::text::parse_with_duplicates;
use serde_json::{Map, Value};

/// A parsed document.
pub(crate) struct Document {
    pub(crate) contract: Contract,
    /// The place of each endpoint.
    pub(crate) pointers: Vec<String>,
    pub(crate) warnings: Vec<ContractError>,
}

impl Contract {
    /// Parses a contract as an enforcer must: every rule of the format applies, and unknown fields are an error (except
    /// keys that start with `x-`). The short form is accepted too: one endpoint `{"path": …, "security": …}` alone, or
    /// an array of them.
    ///
    /// # Errors
    /// All problems of the first phase that has any, each with a JSON pointer: first types, then rules.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, ContractErrors> {
        Self::located(text).map(|(contract, _)| contract)
    }

    /// Parses like [`Contract::parse`], and returns the place of each endpoint in the text: a JSON pointer (RFC 6901)
    /// for each of [`Contract::endpoints`], in their order.
    ///
    /// # Errors
    /// As [`Contract::parse`].
    pub fn located(text: impl AsRef<[u8]>) -> Result<(Self, Vec<String>), ContractErrors> {
        let document = parse(text.as_ref(), UnknownFields::Refuse)?;
        Ok((document.contract, document.pointers))
    }
}

/// Parses a document in the full or the short form.
pub(crate) fn parse(text: &[u8], unknown: UnknownFields) -> Result<Document, ContractErrors> {
    let (value, duplicates) = parse_with_duplicates(text).map_err(ContractError::from)?;
    let mut reader = Reader::new(unknown);
    for pointer in duplicates {
        reader.error(pointer, "duplicate key: parsers disagree on which value wins; remove one");
    }
    let Draft { service, version, unlisted, base, endpoints } = reader.document(&value);
    let errors = std::mem::take(&mut reader.errors);
    ContractErrors::or_ok(errors, ())?;

    for (pointer, endpoint) in &endpoints {
        endpoint.check_declarations(pointer, &mut reader);
    }
    let endpoints = endpoints.into_iter().map(|(pointer, draft)| (pointer, draft.endpoint));
    let validated = Contract::validated(service, version, unlisted, base, endpoints.collect());
    let mut errors = reader.errors;
    if let Err(broken_rules) = &validated {
        errors.extend(broken_rules.iter().cloned());
    }
    let (contract, pointers) = ContractErrors::or_ok(errors, validated)??;
    Ok(Document { contract, pointers, warnings: reader.warnings })
}

/// The values of a document, before their rules are checked.
struct Draft {
    service: String,
    version: String,
    unlisted: Unlisted,
    base: Option<String>,
    /// Each endpoint with its place.
    endpoints: Vec<(String, EndpointDraft)>,
}

impl Draft {
    fn short(endpoints: Vec<(String, EndpointDraft)>) -> Self {
        Self {
            service: "unnamed".into(),
            version: "0.0.0".into(),
            unlisted: Unlisted::Deny,
            base: None,
            endpoints,
        }
    }
}

impl Reader {
    fn document(&mut self, value: &Value) -> Draft {
        match value {
            Value::Array(items) => Draft::short(self.endpoints(items, "")),
            Value::Object(map) if map.contains_key("contract") || !map.contains_key("path") => {
                self.full(map)
            }
            Value::Object(map) => {
                let endpoint = self.endpoint(Object { map, pointer: "" });
                Draft::short(vec![(String::new(), endpoint)])
            }
            _ => {
                self.error("", "a contract is a JSON object, or an array of endpoints");
                Draft::short(Vec::new())
            }
        }
    }

    fn full(&mut self, map: &Map<String, Value>) -> Draft {
        let object = Object { map, pointer: "" };
        let keys = ["contract", "service", "version", "unlisted", "base", "endpoints"];
        self.check_known(object, &keys);
        self.format(map.get("contract"));
        let choices = [("deny", Unlisted::Deny), ("allow", Unlisted::Allow)];
        Draft {
            service: self.required_text(object, "service").unwrap_or_default(),
            version: self.required_text(object, "version").unwrap_or_default(),
            unlisted: self.choice(object, "unlisted", choices).unwrap_or_default(),
            base: self.text(object, "base"),
            endpoints: match map.get("endpoints") {
                Some(Value::Array(items)) => self.endpoints(items, "/endpoints"),
                Some(_) => {
                    self.error("/endpoints", "must be an array");
                    Vec::new()
                }
                None => {
                    self.error("/endpoints", "missing; an empty contract has []");
                    Vec::new()
                }
            },
        }
    }

    fn format(&mut self, value: Option<&Value>) {
        match value {
            Some(Value::Number(n)) if n.as_u64() == Some(FORMAT) => {}
            Some(Value::Number(n)) if n.as_u64().is_some() => self.error(
                "/contract",
                format!("this version reads format {FORMAT}, not {n}; update stepup"),
            ),
            Some(other) => {
                self.error("/contract", format!("write \"contract\": {FORMAT}, not {other}"));
            }
            None => self.error("/contract", format!("missing; write \"contract\": {FORMAT}")),
        }
    }

    fn endpoints(&mut self, items: &[Value], pointer: &str) -> Vec<(String, EndpointDraft)> {
        let mut endpoints = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            match item {
                Value::Object(map) => {
                    let endpoint = self.endpoint(Object { map, pointer: &pointer });
                    endpoints.push((pointer, endpoint));
                }
                _ => self.error(pointer, "an endpoint is a JSON object"),
            }
        }
        endpoints
    }
}
