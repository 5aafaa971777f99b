//! The strict reader of the contract's JSON. One walk over the parsed value collects every finding
//! with its JSON pointer; the same functions read the whole document, the short form, and the lines
//! of the link section.

use crate::contract::{Contract, FORMAT, Unlisted};
use crate::endpoint::Endpoint;
use crate::error::{ContractError, ContractErrors, Suggestion};
use crate::requirement::{Field, Requirement, Trust};
use crate::risk::RiskRule;
use crate::strict_json::parse_strict;
use serde_json::{Map, Value};
use std::fmt::Display;
use std::str::FromStr;

/// What to do with a field that the format does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// An enforcer cannot enforce what it does not understand.
    Refuse,
    /// A viewer shows the rest.
    Warn,
}

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
    // An endpoint of which something could not be read may look wrong for that alone.
    let places = draft.endpoints.iter().map(|(place, _)| place);
    let halves: Vec<String> = places
        .filter(|place| {
            errors.iter().any(|error| error.pointer().is_some_and(|at| lies_in(at, place)))
        })
        .cloned()
        .collect();
    let checked = Contract::checked(
        draft.service,
        draft.version,
        draft.unlisted,
        draft.base,
        draft.endpoints,
    );
    match checked {
        Ok((contract, pointers)) => {
            ContractErrors::or_ok(errors, Read { contract, pointers, warnings })
        }
        Err(more) => {
            let whole = |error: &&ContractError| {
                let at = error.pointer().unwrap_or_default();
                !halves.iter().any(|place| lies_in(at, place))
            };
            errors.extend(more.iter().filter(whole).cloned());
            Err(ContractErrors::or_ok(errors, ()).err().unwrap_or(more))
        }
    }
}

/// Whether a pointer points at a place or into it.
fn lies_in(pointer: &str, place: &str) -> bool {
    pointer.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Checks what a parsed endpoint means, beyond its types.
pub(crate) fn check_endpoint(endpoint: &Endpoint, pointer: &str, errors: &mut Vec<ContractError>) {
    if let Err(why) = crate::path::check_path(&endpoint.path) {
        errors.push(ContractError::Field {
            pointer: format!("{pointer}/path"),
            message: why.to_string(),
        });
    }
    for problem in endpoint.requirement.problems() {
        let mut pointer = format!("{pointer}/security/{}", problem.field.key());
        if let Some(index) = problem.index {
            pointer.push_str(&format!("/{index}"));
        }
        errors.push(ContractError::Field { pointer, message: problem.to_string() });
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

/// Walks the value and collects findings.
pub(crate) struct Reader {
    pub(crate) unknown: Unknown,
    pub(crate) errors: Vec<ContractError>,
    pub(crate) warnings: Vec<ContractError>,
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
            Value::Object(map) => short(
                self.endpoint(map, "")
                    .map(|endpoint| (String::new(), endpoint))
                    .into_iter()
                    .collect(),
            ),
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
                    endpoints
                        .extend(self.endpoint(map, &pointer).map(|endpoint| (pointer, endpoint)));
                }
                _ => self.error(pointer, "an endpoint is a JSON object"),
            }
        }
        endpoints
    }

    fn endpoint(&mut self, map: &Map<String, Value>, pointer: &str) -> Option<Endpoint> {
        self.known(map, pointer, &["method", "path", "trust", "handler", "security"]);
        let path = self.required_text(map, pointer, "path");
        self.endpoint_at(map, pointer, path)
    }

    /// The endpoint in this object, at this path. Unknown keys are the caller's business.
    pub(crate) fn endpoint_at(
        &mut self,
        map: &Map<String, Value>,
        pointer: &str,
        path: String,
    ) -> Option<Endpoint> {
        let method = self.named(map, pointer, "method");
        let handler = self.text(map, pointer, "handler");
        let requirement = match map.get("security") {
            Some(Value::Object(security)) => {
                self.requirement(security, &format!("{pointer}/security"))
            }
            Some(_) => {
                self.error(format!("{pointer}/security"), "must be an object");
                return None;
            }
            None => {
                self.error(
                    format!("{pointer}/security"),
                    "missing; write {\"step-up\": false} when a valid token is enough",
                );
                return None;
            }
        };
        let trust = match map.get("trust") {
            None => requirement.trust(),
            Some(Value::String(text)) if text == "standard" => Trust::Standard,
            Some(Value::String(text)) if text == "sensitive" => Trust::Sensitive,
            Some(other) => {
                self.error(
                    format!("{pointer}/trust"),
                    format!("write \"standard\" or \"sensitive\", not {other}"),
                );
                requirement.trust()
            }
        };
        if trust != requirement.trust() {
            self.error(
                format!("{pointer}/trust"),
                "contradicts security/step-up: sensitive endpoints have true, standard ones false",
            );
        }
        Some(Endpoint { method, path, handler, requirement })
    }

    fn requirement(&mut self, map: &Map<String, Value>, pointer: &str) -> Requirement {
        let fields = [
            Field::StepUp,
            Field::Methods,
            Field::AnyMethods,
            Field::Acr,
            Field::MaxAge,
            Field::Scopes,
            Field::Risk,
            Field::Bound,
            Field::PerAction,
        ];
        self.known(map, pointer, &fields.map(Field::key));
        let before = self.errors.len();
        let step_up = self.flag(map, pointer, Field::StepUp);
        if !map.contains_key(Field::StepUp.key()) {
            self.error(format!("{pointer}/step-up"), "missing; write true or false");
        }
        let max_age = map.get(Field::MaxAge.key()).and_then(|value| {
            let age = value.as_u64().and_then(|age| u32::try_from(age).ok());
            if age.is_none() {
                self.error(
                    format!("{pointer}/max-age"),
                    format!("write whole seconds from 0 to {}, not {value}", u32::MAX),
                );
            }
            age
        });
        let risk = map.get(Field::Risk.key()).and_then(|value| {
            let pointer = format!("{pointer}/risk");
            let Value::Object(rule) = value else {
                self.error(pointer, "must be an object with step-up, deny, or both");
                return None;
            };
            self.known(rule, &pointer, &["step-up", "deny"]);
            Some(RiskRule {
                step_up: self.named(rule, &pointer, "step-up"),
                deny: self.named(rule, &pointer, "deny"),
            })
        });
        let requirement = Requirement {
            methods: self.list(map, pointer, Field::Methods),
            any_methods: self.list(map, pointer, Field::AnyMethods),
            acr: self.list(map, pointer, Field::Acr),
            max_age,
            scopes: self.list(map, pointer, Field::Scopes),
            risk,
            bound: self.flag(map, pointer, Field::Bound),
            per_action: self.flag(map, pointer, Field::PerAction),
        };
        // What could not be read contradicts nothing.
        if self.errors.len() == before {
            let written = if step_up { Trust::Sensitive } else { Trust::Standard };
            for problem in requirement.contradictions(written) {
                self.error(format!("{pointer}/{}", problem.field.key()), problem);
            }
        }
        requirement
    }

    /// Reports keys that the format does not know; `x-…` is left to others.
    pub(crate) fn known(&mut self, map: &Map<String, Value>, pointer: &str, keys: &[&str]) {
        for key in map.keys().filter(|key| !keys.contains(&key.as_str()) && !key.starts_with("x-"))
        {
            let suggestion = Suggestion::among(key, keys.iter().copied());
            let finding = ContractError::Field {
                pointer: format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
                message: format!("unknown field{suggestion}"),
            };
            match self.unknown {
                Unknown::Refuse => self.errors.push(finding),
                Unknown::Warn => self.warnings.push(finding),
            }
        }
    }

    pub(crate) fn text(
        &mut self,
        map: &Map<String, Value>,
        pointer: &str,
        key: &str,
    ) -> Option<String> {
        match map.get(key)? {
            Value::String(text) => Some(text.clone()),
            other => {
                self.error(format!("{pointer}/{key}"), format!("must be a string, not {other}"));
                None
            }
        }
    }

    pub(crate) fn required_text(
        &mut self,
        map: &Map<String, Value>,
        pointer: &str,
        key: &str,
    ) -> String {
        if !map.contains_key(key) {
            self.error(format!("{pointer}/{key}"), "missing");
        }
        self.text(map, pointer, key).unwrap_or_default()
    }

    fn named<T: FromStr<Err: Display>>(
        &mut self,
        map: &Map<String, Value>,
        pointer: &str,
        key: &str,
    ) -> Option<T> {
        let text = self.text(map, pointer, key)?;
        text.parse().map_err(|why| self.error(format!("{pointer}/{key}"), why)).ok()
    }

    fn flag(&mut self, map: &Map<String, Value>, pointer: &str, field: Field) -> bool {
        match map.get(field.key()) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                let message = format!("write true or false, not {other}");
                self.error(format!("{pointer}/{}", field.key()), message);
                false
            }
        }
    }

    fn list<T: FromStr<Err: Display>>(
        &mut self,
        map: &Map<String, Value>,
        pointer: &str,
        field: Field,
    ) -> Vec<T> {
        let pointer = format!("{pointer}/{}", field.key());
        let items = match map.get(field.key()) {
            None => return Vec::new(),
            Some(Value::Array(items)) if !items.is_empty() => items,
            Some(_) => {
                self.error(pointer, "must be an array of strings with at least one element");
                return Vec::new();
            }
        };
        let mut list = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            match item {
                Value::String(text) => match text.parse() {
                    Ok(value) => list.push(value),
                    Err(why) => self.error(pointer, why),
                },
                other => self.error(pointer, format!("must be a string, not {other}")),
            }
        }
        list
    }

    fn error(&mut self, pointer: impl Into<String>, message: impl ToString) {
        self.errors
            .push(ContractError::Field { pointer: pointer.into(), message: message.to_string() });
    }
}
