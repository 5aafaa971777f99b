//! JSON objects for test tokens and test documents.

use serde_json::{Map, Value};

/// Sets a member; `null` removes it.
pub(crate) fn set(map: &mut Map<String, Value>, name: &str, value: Value) {
    match value {
        Value::Null => map.remove(name),
        value => map.insert(name.to_owned(), value),
    };
}

/// The members of a JSON object.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
