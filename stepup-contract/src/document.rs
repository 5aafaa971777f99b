//! Reads a whole document, or the short form: the walk over its JSON first, then the rules that what was read must
//! obey. Everything that is wrong is told in one go, and once.

use crate::contract::{Contract, FORMAT, Unlisted};
use crate::endpoint::Endpoint;
use crate::error::{ContractError, ContractErrors};
use crate::json::{Reader, Unknown, check_endpoint};
use crate::strict_json::parse_strict;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// What a document says.
pub(crate) struct Read {
    pub(crate) contract: Contract,
    /// Where each endpoint stands.
    pub(crate) pointers: Vec<String>,
    pub(crate) warnings: Vec<ContractError>,
}

/// Reads a document in the full or the short form.
pub(crate) fn read(text: &[u8], unknown: Unknown) -> Result<Read, ContractErrors> {
    let value = parse_strict(text).map_err(ContractError::from)?;
    let mut reader = Reader { unknown, errors: Vec::new(), warnings: Vec::new() };
    let draft = reader.document(&value);
    let Reader { mut errors, warnings, .. } = reader;
    let unread = Unread::of(&errors);
    // Of an endpoint without a route it cannot be said which requests it takes.
    let (routed, routeless): (Vec<_>, Vec<_>) = draft.endpoints.into_iter().partition(|(at, _)| {
        !unread.has(&format!("{at}/path")) && !unread.has(&format!("{at}/method"))
    });
    let mut more = Vec::new();
    for (at, endpoint) in &routeless {
        check_endpoint(endpoint, at, &mut more);
    }
    let checked =
        Contract::checked(draft.service, draft.version, draft.unlisted, draft.base, routed);
    if let Err(broken) = &checked {
        more.extend(broken.iter().cloned());
    }
    more.retain(|error| !unread.explains(error));
    errors.extend(more);
    let (contract, pointers) = ContractErrors::or_ok(errors, checked)??;
    Ok(Read { contract, pointers, warnings })
}

/// The places in which something could not be read. What stands there instead is not judged.
struct Unread(HashSet<String>);

impl Unread {
    fn of(errors: &[ContractError]) -> Self {
        let mut places = HashSet::new();
        for error in errors {
            let mut at = error.pointer().unwrap_or_default();
            while places.insert(at.to_owned()) {
                at = at.rsplit_once('/').map_or("", |(above, _)| above);
            }
        }
        Self(places)
    }

    fn has(&self, place: &str) -> bool {
        self.0.contains(place)
    }

    /// Whether this error is about a field that could not be read: its place, or that of the list it stands in.
    fn explains(&self, error: &ContractError) -> bool {
        let ContractError::Field { pointer, .. } = error else { return false };
        let list = pointer.rsplit_once('/').filter(|(_, last)| last.parse::<usize>().is_ok());
        self.has(list.map_or(pointer, |(list, _)| list))
    }
}

/// A document's fields before [`Contract::checked`].
struct Draft {
    service: String,
    version: String,
    unlisted: Unlisted,
    base: Option<String>,
    /// Each with where it stands.
    endpoints: Vec<(String, Endpoint)>,
}

impl Reader {
    fn document(&mut self, value: &Value) -> Draft {
        let short = |endpoints| Draft {
            service: "unnamed".into(),
            version: "0.0.0".into(),
            unlisted: Unlisted::Deny,
            base: None,
            endpoints,
        };
        match value {
            Value::Array(items) => short(self.endpoints(items, "")),
            Value::Object(map) if map.contains_key("contract") || !map.contains_key("path") => {
                self.full(map)
            }
            Value::Object(map) => short(vec![(String::new(), self.endpoint(map, ""))]),
            _ => {
                self.error("", "a contract is a JSON object, or an array of endpoints");
                short(Vec::new())
            }
        }
    }

    fn full(&mut self, map: &Map<String, Value>) -> Draft {
        self.known(map, "", &["contract", "service", "version", "unlisted", "base", "endpoints"]);
        match map.get("contract") {
            Some(Value::Number(n)) if n.as_u64() == Some(FORMAT) => {}
            Some(other) => self.error(
                "/contract",
                format!("this version reads format {FORMAT}, not {other}; update stepup"),
            ),
            None => self.error("/contract", format!("missing; write \"contract\": {FORMAT}")),
        }
        let service = self.required_text(map, "", "service");
        let version = self.required_text(map, "", "version");
        let unlisted = match map.get("unlisted") {
            None => Unlisted::Deny,
            Some(Value::String(text)) if text == "deny" => Unlisted::Deny,
            Some(Value::String(text)) if text == "allow" => Unlisted::Allow,
            Some(other) => {
                self.error("/unlisted", format!("write \"deny\" or \"allow\", not {other}"));
                Unlisted::Deny
            }
        };
        let base = self.text(map, "", "base");
        let endpoints = match map.get("endpoints") {
            Some(Value::Array(items)) => self.endpoints(items, "/endpoints"),
            Some(_) => {
                self.error("/endpoints", "must be an array");
                Vec::new()
            }
            None => {
                self.error("/endpoints", "missing; an empty contract has []");
                Vec::new()
            }
        };
        Draft { service, version, unlisted, base, endpoints }
    }

    fn endpoints(&mut self, items: &[Value], pointer: &str) -> Vec<(String, Endpoint)> {
        let mut endpoints = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            match item {
                Value::Object(map) => {
                    let endpoint = self.endpoint(map, &pointer);
                    endpoints.push((pointer, endpoint));
                }
                _ => self.error(pointer, "an endpoint is a JSON object"),
            }
        }
        endpoints
    }
}
