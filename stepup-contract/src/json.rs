//! The strict reader of an endpoint's JSON. One walk over the parsed value collects every finding with its JSON
//! pointer; the same functions read the endpoints of a document, of the short form, and of the link section's
//! lines.

use crate::endpoint::Endpoint;
use crate::error::{ContractError, Suggestion};
use crate::requirement::{Field, Requirement, Trust};
use crate::risk::RiskRule;
use crate::text::pointer_token;
use serde_json::{Map, Value};
use std::collections::HashMap;
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

/// Stands for a requirement that cannot be read: what else the endpoint asks is judged as that of one that steps
/// up. Nothing is enforced with it, since there is an error beside it.
const SOMETHING: Requirement = Requirement {
    methods: Vec::new(),
    any_methods: Vec::new(),
    acr: Vec::new(),
    max_age: Some(0),
    scopes: Vec::new(),
    risk: None,
    bound: false,
    per_action: false,
};

/// Walks the value and collects findings.
pub(crate) struct Reader {
    pub(crate) unknown: Unknown,
    pub(crate) errors: Vec<ContractError>,
    pub(crate) warnings: Vec<ContractError>,
    /// Of each list with elements that could not be read, by its pointer: the indices of those that could.
    pub(crate) partly: HashMap<String, Vec<usize>>,
}

impl Reader {
    pub(crate) fn new(unknown: Unknown) -> Self {
        Self { unknown, errors: Vec::new(), warnings: Vec::new(), partly: HashMap::new() }
    }

    pub(crate) fn endpoint(&mut self, map: &Map<String, Value>, pointer: &str) -> Endpoint {
        self.known(map, pointer, &["method", "path", "trust", "handler", "security"]);
        let path = self.required_text(map, pointer, "path");
        self.endpoint_at(map, pointer, path)
    }

    /// The endpoint in this object, at this path. Unknown keys are the caller's business. What cannot be read
    /// is an error, and asks for [`SOMETHING`].
    pub(crate) fn endpoint_at(
        &mut self,
        map: &Map<String, Value>,
        pointer: &str,
        path: String,
    ) -> Endpoint {
        let method = self.named(map, pointer, "method");
        let handler = self.text(map, pointer, "handler");
        let trust = self.trust(map, pointer);
        let at = format!("{pointer}/security");
        let requirement = match map.get("security") {
            Some(Value::Object(security)) => {
                let requirement = self.requirement(security, &at);
                if trust.is_some_and(|trust| trust != requirement.trust()) {
                    self.error(
                        format!("{pointer}/trust"),
                        "contradicts security/step-up: sensitive endpoints have true, standard ones false",
                    );
                }
                requirement
            }
            Some(_) => {
                self.error(at, "must be an object");
                SOMETHING
            }
            None => {
                let message = "missing; write {\"step-up\": false} when a valid token is enough";
                self.error(at, message);
                SOMETHING
            }
        };
        Endpoint { method, path, handler, requirement }
    }

    fn trust(&mut self, map: &Map<String, Value>, pointer: &str) -> Option<Trust> {
        match map.get("trust")? {
            Value::String(text) if text == "standard" => Some(Trust::Standard),
            Value::String(text) if text == "sensitive" => Some(Trust::Sensitive),
            other => {
                let message = format!("write \"standard\" or \"sensitive\", not {other}");
                self.error(format!("{pointer}/trust"), message);
                None
            }
        }
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
        let mut before = self.errors.len();
        if !map.contains_key(Field::StepUp.key()) {
            self.error(format!("{pointer}/step-up"), "missing; write true or false");
        }
        let step_up = self.flag(map, pointer, Field::StepUp);
        let written = if step_up { Trust::Sensitive } else { Trust::Standard };
        let written = (self.errors.len() == before).then_some(written);
        before = self.errors.len();
        let asked = Requirement {
            methods: self.list(map, pointer, Field::Methods),
            any_methods: self.list(map, pointer, Field::AnyMethods),
            acr: self.list(map, pointer, Field::Acr),
            max_age: self.max_age(map, pointer),
            ..Requirement::default()
        };
        let whole = self.errors.len() == before;
        let requirement = Requirement {
            scopes: self.list(map, pointer, Field::Scopes),
            risk: self.risk(map, pointer),
            bound: self.flag(map, pointer, Field::Bound),
            per_action: self.flag(map, pointer, Field::PerAction),
            ..asked
        };
        for problem in
            written.map(|written| requirement.contradictions(written)).unwrap_or_default()
        {
            // What could not be read contradicts nothing.
            if whole || problem.field != Field::StepUp {
                self.error(format!("{pointer}/{}", problem.field.key()), problem);
            }
        }
        if whole || requirement.trust() == Trust::Sensitive {
            return requirement;
        }
        Requirement { max_age: SOMETHING.max_age, ..requirement }
    }

    fn max_age(&mut self, map: &Map<String, Value>, pointer: &str) -> Option<u32> {
        let value = map.get(Field::MaxAge.key())?;
        let age = value.as_u64().and_then(|age| u32::try_from(age).ok());
        if age.is_none() {
            let message = format!("write whole seconds from 0 to {}, not {value}", u32::MAX);
            self.error(format!("{pointer}/max-age"), message);
        }
        age
    }

    fn risk(&mut self, map: &Map<String, Value>, pointer: &str) -> Option<RiskRule> {
        let pointer = format!("{pointer}/risk");
        let Value::Object(rule) = map.get(Field::Risk.key())? else {
            self.error(pointer, "must be an object with step-up, deny, or both");
            return None;
        };
        self.known(rule, &pointer, &["step-up", "deny"]);
        Some(RiskRule {
            step_up: self.named(rule, &pointer, "step-up"),
            deny: self.named(rule, &pointer, "deny"),
        })
    }

    /// Reports keys that the format does not know; `x-…` is left to others.
    pub(crate) fn known(&mut self, map: &Map<String, Value>, pointer: &str, keys: &[&str]) {
        for key in map.keys().filter(|key| !keys.contains(&key.as_str()) && !key.starts_with("x-"))
        {
            let suggestion = Suggestion::among(key, keys.iter().copied());
            let finding = ContractError::Field {
                pointer: format!("{pointer}/{}", pointer_token(key)),
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
        let (mut list, mut read) = (Vec::with_capacity(items.len()), Vec::new());
        for (index, item) in items.iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            match item {
                Value::String(text) => match text.parse() {
                    Ok(value) => {
                        list.push(value);
                        read.push(index);
                    }
                    Err(why) => self.error(pointer, why),
                },
                other => self.error(pointer, format!("must be a string, not {other}")),
            }
        }
        if list.len() < items.len() {
            self.partly.insert(pointer, read);
        }
        list
    }

    pub(crate) fn error(&mut self, pointer: impl Into<String>, message: impl ToString) {
        self.errors
            .push(ContractError::Field { pointer: pointer.into(), message: message.to_string() });
    }
}
