//! How single claims of a verified token are read. A claim that is missing or does not have its standard type proves
//! nothing.

use serde_json::{Map, Value};
use std::fmt;

/// The place of a claim: the name of a member, or names from the outside in. A name may contain dots and slashes, as
/// namespaced claims do.
///
/// ```
/// use stepup_contract::ClaimPath;
///
/// let namespaced = ClaimPath::from("https://bank.example/amr");
/// let nested = ClaimPath::from(["session", "amr"]);
/// assert_eq!(nested.to_string(), "session → amr");
/// # assert_eq!(namespaced.first(), "https://bank.example/amr");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath {
    first: String,
    rest: Vec<String>,
}

impl ClaimPath {
    /// The value at this place.
    pub fn get<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let outermost = claims.get(&self.first)?;
        self.rest.iter().try_fold(outermost, |value, name| value.as_object()?.get(name))
    }

    /// The name of the outermost member, which `claims_supported` can list.
    pub fn first(&self) -> &str {
        &self.first
    }
}

impl From<&str> for ClaimPath {
    fn from(name: &str) -> Self {
        Self { first: name.to_owned(), rest: Vec::new() }
    }
}

impl From<String> for ClaimPath {
    fn from(name: String) -> Self {
        Self { first: name, rest: Vec::new() }
    }
}

impl<const N: usize> From<[&str; N]> for ClaimPath {
    /// A path of names, the outermost first. An empty path matches no claim.
    fn from(names: [&str; N]) -> Self {
        let mut names = names.into_iter().map(str::to_owned);
        Self { first: names.next().unwrap_or_default(), rest: names.collect() }
    }
}

impl From<Vec<String>> for ClaimPath {
    /// A path of names, the outermost first. An empty path matches no claim.
    fn from(names: Vec<String>) -> Self {
        let mut names = names.into_iter();
        Self { first: names.next().unwrap_or_default(), rest: names.collect() }
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first)?;
        self.rest.iter().try_for_each(|name| write!(f, " → {name}"))
    }
}

/// The strings of an array that contains only strings.
pub(crate) fn strings(value: &Value) -> Option<Vec<&str>> {
    value.as_array()?.iter().map(Value::as_str).collect()
}

/// A NumericDate (RFC 7519 §2) in whole seconds since the epoch, if it is a plausible non-negative number. A fraction
/// is dropped, which makes the time older.
pub fn numeric_date(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let seconds = value.as_f64().filter(|seconds| (0.0..9e15).contains(seconds))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        Some(seconds as u64)
    })
}

/// The granted scopes: `scope` as in RFC 9068 §2.2.3, else `scp` as Okta and Entra send it, and those in an additional
/// claim.
pub(crate) fn scopes(claims: &Map<String, Value>, additional: Option<&ClaimPath>) -> Vec<String> {
    let read = |value: &Value| -> Vec<String> {
        match value {
            Value::String(text) => {
                text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
            }
            list => strings(list).unwrap_or_default().into_iter().map(str::to_owned).collect(),
        }
    };
    // A claim that says nothing does not hide the other one. A claim of the wrong type does.
    let is_empty = |value: &Value| match value {
        Value::String(text) => text.trim_matches(' ').is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    };
    let mut standard = ["scope", "scp"].into_iter().filter_map(|name| claims.get(name));
    let mut scopes = standard.find(|value| !is_empty(value)).map(read).unwrap_or_default();
    scopes.extend(additional.and_then(|path| path.get(claims)).map(read).unwrap_or_default());
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scopes_are_read_from_the_first_claim_that_has_any_and_from_the_additional_one() {
        let of = |claims: Value, path: Option<&str>| {
            scopes(claims.as_object().unwrap(), path.map(ClaimPath::from).as_ref())
        };
        assert_eq!(of(json!({"scope": "a b", "scp": ["c"]}), None), ["a", "b"]);
        assert_eq!(of(json!({"scope": "", "scp": ["c"]}), None), ["c"]);
        assert_eq!(of(json!({"scope": [], "scp": "c d"}), None), ["c", "d"]);
        assert_eq!(of(json!({"scope": null, "scp": "c d"}), None), [""; 0]);
        assert_eq!(of(json!({"scope": "a", "permissions": ["p:q"]}), None), ["a"]);
        let permissions = Some("permissions");
        assert_eq!(of(json!({"scope": "a", "permissions": ["p:q"]}), permissions), ["a", "p:q"]);
        assert_eq!(of(json!({"permissions": [1]}), permissions), [""; 0]);
    }

    #[test]
    fn a_path_goes_through_objects_only_and_a_dot_is_part_of_a_name() {
        let claims = json!({"a": {"b": 1, "0": 2}, "a.b": 3, "list": [4]});
        let claims = claims.as_object().unwrap();
        assert_eq!(ClaimPath::from(["a", "b"]).get(claims), Some(&json!(1)));
        assert_eq!(ClaimPath::from("a.b").get(claims), Some(&json!(3)));
        for path in [
            ClaimPath::from(["list", "0"]),
            ClaimPath::from(["a", "b", "c"]),
            ClaimPath::from(["x", "b"]),
            ClaimPath::from([]),
            ClaimPath::from(""),
        ] {
            assert_eq!(path.get(claims), None, "{path}");
        }
    }
}
