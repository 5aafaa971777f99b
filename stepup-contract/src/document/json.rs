//! Typed access to JSON members. A reader collects every problem with its JSON pointer, so that one pass reports all of
//! them.

use crate::model::ContractError;
use crate::text::Suggestion;
use crate::text::json_pointer::pointer_token;
use serde_json::{Map, Value};
use std::fmt::Display;
use std::str::FromStr;

/// What happens to a field that the format does not define.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnknownFields {
    /// An error: an enforcer cannot enforce what it does not understand.
    Refuse,
    /// A warning: a viewer displays the other fields.
    Warn,
}

/// Reads members and collects problems.
pub(crate) struct Reader {
    unknown: UnknownFields,
    pub(crate) errors: Vec<ContractError>,
    pub(crate) warnings: Vec<ContractError>,
}

/// A JSON object and its place.
#[derive(Clone, Copy)]
pub(crate) struct Object<'a> {
    pub(crate) map: &'a Map<String, Value>,
    pub(crate) pointer: &'a str,
}

impl Reader {
    pub(crate) fn new(unknown: UnknownFields) -> Self {
        Self { unknown, errors: Vec::new(), warnings: Vec::new() }
    }

    pub(crate) fn error(&mut self, pointer: impl Into<String>, message: impl ToString) {
        self.errors
            .push(ContractError::Field { pointer: pointer.into(), message: message.to_string() });
    }

    /// Reports members that the format does not define. `x-…` is reserved for others.
    pub(crate) fn check_known(&mut self, object: Object<'_>, keys: &[&str]) {
        let unknown = |key: &&String| !keys.contains(&key.as_str()) && !key.starts_with("x-");
        for key in object.map.keys().filter(unknown) {
            let suggestion = Suggestion::among(key, keys.iter().copied());
            let problem = ContractError::Field {
                pointer: format!("{}/{}", object.pointer, pointer_token(key)),
                message: format!("unknown field{suggestion}"),
            };
            match self.unknown {
                UnknownFields::Refuse => self.errors.push(problem),
                UnknownFields::Warn => self.warnings.push(problem),
            }
        }
    }

    pub(crate) fn text(&mut self, object: Object<'_>, key: &str) -> Option<String> {
        match object.map.get(key)? {
            Value::String(text) => Some(text.clone()),
            other => {
                let message = format!("must be a string, not {other}");
                self.error(format!("{}/{key}", object.pointer), message);
                None
            }
        }
    }

    pub(crate) fn required_text(&mut self, object: Object<'_>, key: &str) -> Option<String> {
        if !object.map.contains_key(key) {
            self.error(format!("{}/{key}", object.pointer), "missing");
        }
        self.text(object, key)
    }

    /// A text that is parsed.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(
        &mut self,
        object: Object<'_>,
        key: &str,
    ) -> Option<T> {
        let text = self.text(object, key)?;
        let parsed = text.parse();
        parsed.map_err(|error| self.error(format!("{}/{key}", object.pointer), error)).ok()
    }

    /// One of these texts, by its value.
    pub(crate) fn choice<T: Copy, const N: usize>(
        &mut self,
        object: Object<'_>,
        key: &str,
        choices: [(&str, T); N],
    ) -> Option<T> {
        let value = object.map.get(key)?;
        let choice = choices.iter().find(|(name, _)| value.as_str() == Some(name));
        if choice.is_none() {
            let names = choices.map(|(name, _)| format!("\"{name}\"")).join(" or ");
            let message = format!("write {names}, not {value}");
            self.error(format!("{}/{key}", object.pointer), message);
        }
        choice.map(|(_, value)| *value)
    }

    pub(crate) fn flag(&mut self, object: Object<'_>, key: &str) -> Option<bool> {
        match object.map.get(key)? {
            Value::Bool(flag) => Some(*flag),
            other => {
                let message = format!("write true or false, not {other}");
                self.error(format!("{}/{key}", object.pointer), message);
                None
            }
        }
    }

    /// A list of parsed texts; empty if the member is absent.
    pub(crate) fn list<T: FromStr<Err: Display>>(
        &mut self,
        object: Object<'_>,
        key: &str,
    ) -> Vec<T> {
        let pointer = format!("{}/{key}", object.pointer);
        let items = match object.map.get(key) {
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
            match item.as_str().map(str::parse) {
                Some(Ok(value)) => list.push(value),
                Some(Err(error)) => self.error(pointer, error),
                None => self.error(pointer, format!("must be a string, not {item}")),
            }
        }
        list
    }
}
