//! Reads a whole document, or the short form: the walk over its JSON first, then the rules that what was read must
//! obey. Everything that is wrong is told in one go, and once.

use crate::contract::{Contract, FORMAT, Unlisted};
use crate::endpoint::Endpoint;
use crate::error::{ContractError, ContractErrors};
use crate::json::{Reader, Unknown, check_endpoint};
use crate::strict_json::parse_telling;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// What a document says.
pub(crate) struct Read {
    pub(crate) contract: Contract,
    /// Where each endpoint stands.
    pub(crate) pointers: Vec<String>,
    pub(crate) warnings: Vec<ContractError>,
}

/// Reads a document in the full or the short form.
pub(crate) fn read(text: &[u8], unknown: Unknown) -> Result<Read, ContractErrors> {
    let (value, twice) = parse_telling(text).map_err(ContractError::from)?;
    let mut reader = Reader::new(unknown);
    for pointer in twice {
        reader.error(
            pointer,
            "the key stands twice, and some read the first and some the last; keep one",
        );
    }
    let draft = reader.document(&value);
    let Reader { mut errors, warnings, partly, .. } = reader;
    let unread = Unread::of(&errors, partly);
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
    errors.extend(more.into_iter().filter_map(|error| unread.without(error)));
    let (contract, pointers) = ContractErrors::or_ok(errors, checked)??;
    Ok(Read { contract, pointers, warnings })
}

/// What could not be read. What stands there instead is not judged.
struct Unread {
    /// The places of all that could not, and those that they stand in.
    places: HashSet<String>,
    /// See [`Reader::partly`].
    partly: HashMap<String, Vec<usize>>,
}

impl Unread {
    fn of(errors: &[ContractError], partly: HashMap<String, Vec<usize>>) -> Self {
        let mut places = HashSet::new();
        for error in errors {
            let mut at = error.pointer().unwrap_or_default();
            while places.insert(at.to_owned()) {
                at = at.rsplit_once('/').map_or("", |(above, _)| above);
            }
        }
        Self { places, partly }
    }

    fn has(&self, place: &str) -> bool {
        self.places.contains(place)
    }

    /// An error of what was read, at the place where that was written; nothing where it is about a field that
    /// could not be read.
    fn without(&self, error: ContractError) -> Option<ContractError> {
        let ContractError::Field { pointer, message } = error else { return Some(error) };
        let element = pointer
            .rsplit_once('/')
            .and_then(|(list, index)| Some((list, self.partly.get(list)?, index)));
        let pointer = match element {
            Some((list, read, index)) => {
                format!("{list}/{}", read.get(index.parse::<usize>().ok()?)?)
            }
            None if self.has(&pointer) => return None,
            None => pointer,
        };
        Some(ContractError::Field { pointer, message })
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
            Some(Value::Number(n)) if n.as_u64().is_some() => self.error(
                "/contract",
                format!("this version reads format {FORMAT}, not {n}; update stepup"),
            ),
            Some(other) => {
                self.error("/contract", format!("write \"contract\": {FORMAT}, not {other}"));
            }
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
