//! JSON without duplicate keys. Parsers disagree on the meaning of `{"a":1,"a":2}`, and a token or a contract must have
//! one meaning (RFC 8259 §4, RFC 7519 §4).

use crate::text::json_pointer::pointer_token;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::RefCell;
use std::fmt;
use std::sync::LazyLock;
use thiserror::Error as ThisError;

/// Why a text is not acceptable JSON, with line and column.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[error("{message}")]
pub struct StrictJsonError {
    message: String,
    line: usize,
}

impl StrictJsonError {
    /// The line of the problem; the first line is 1.
    pub fn line(&self) -> usize {
        self.line
    }
}

/// Parses JSON text (UTF-8). Duplicate keys, numbers out of range and nesting deeper than 128 are errors.
///
/// # Errors
/// The first problem, with line and column.
pub fn parse_strict(text: &[u8]) -> Result<Value, StrictJsonError> {
    parse(text, None)
}

/// Parses like [`parse_strict`], for a document whose problems are all reported: also returns the JSON pointers of
/// duplicate keys, whose last value is used.
pub(crate) fn parse_with_duplicates(text: &[u8]) -> Result<(Value, Vec<String>), StrictJsonError> {
    let duplicates = RefCell::default();
    let value = parse(text, Some(&duplicates))?;
    Ok((value, duplicates.into_inner()))
}

fn parse(text: &[u8], duplicates: Option<&RefCell<Vec<String>>>) -> Result<Value, StrictJsonError> {
    if [&[0xef, 0xbb, 0xbf][..], &[0xff, 0xfe], &[0xfe, 0xff]]
        .iter()
        .any(|mark| text.starts_with(mark))
    {
        // RFC 8259 §8.1
        let message = "the text starts with a byte order mark; save it as UTF-8 without one";
        return Err(StrictJsonError { message: message.into(), line: 1 });
    }
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let strict = Strict { numbers_as_text: *NUMBERS_AS_TEXT, at: &Place::Root, duplicates };
    strict
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| StrictJsonError { message: error.to_string(), line: error.line().max(1) })
}

/// The place of a value in the document.
enum Place<'a> {
    Root,
    Member(&'a Place<'a>, &'a str),
    Element(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(of, key) => write!(f, "{of}/{}", pointer_token(key)),
            Self::Element(of, index) => write!(f, "{of}/{index}"),
        }
    }
}

/// The key under which serde_json passes a number if any crate of the program enables its feature
/// `arbitrary_precision`.
const NUMBER: &str = "$serde_json::private::Number";

/// Whether some crate enables that feature. If not, an object with that key is an ordinary object.
static NUMBERS_AS_TEXT: LazyLock<bool> = LazyLock::new(|| {
    let digits = "1.00000000000000000000000001";
    digits.parse::<Number>().is_ok_and(|number| number.to_string() == digits)
});

/// Builds a [`Value`], and reports a duplicate key or fails.
#[derive(Clone, Copy)]
struct Strict<'a> {
    numbers_as_text: bool,
    /// The place of the value.
    at: &'a Place<'a>,
    /// Collects the pointers of duplicate keys; without it they are an error.
    duplicates: Option<&'a RefCell<Vec<String>>>,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        loop {
            let at = &Place::Element(self.at, values.len());
            let Some(value) = items.next_element_seed(Strict { at, ..self })? else {
                return Ok(values.into());
            };
            values.push(value);
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if self.numbers_as_text && key == NUMBER && map.is_empty() {
                return entries
                    .next_value::<String>()?
                    .parse()
                    .map(Value::Number)
                    .map_err(A::Error::custom);
            }
            let at = &Place::Member(self.at, &key);
            if map.contains_key(&key) {
                let Some(duplicates) = self.duplicates else {
                    return Err(A::Error::custom(format_args!("duplicate key {key:?}")));
                };
                duplicates.borrow_mut().push(at.to_string());
            }
            let value = entries.next_value_seed(Strict { at, ..self })?;
            map.insert(key, value);
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duplicate_key_is_refused_at_any_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#] {
            let error = parse_strict(text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains("duplicate key \"a\" at line 1"), "{error}");
        }
    }

    #[test]
    fn a_duplicate_key_is_reported_with_its_place_and_its_last_value_is_used() {
        let text = br#"{"a":1,"a":{"b":2},"c":[0,{"d/e":3,"d/e":4}],"a":5}"#;
        let (value, duplicates) = parse_with_duplicates(text).unwrap();
        assert_eq!(value, serde_json::json!({"a": 5, "c": [0, {"d/e": 4}]}));
        assert_eq!(duplicates, ["/a", "/c/1/d~1e", "/a"]);
        assert!(parse_with_duplicates(br#"{"a":1,"a":NaN}"#).is_err());
    }

    #[test]
    fn a_byte_order_mark_has_its_own_error() {
        for text in [&b"\xef\xbb\xbf{}"[..], b"\xff\xfe{\0}\0", b"\xfe\xff\0{\0}"] {
            let error = parse_strict(text).unwrap_err();
            assert!(error.to_string().contains("save it as UTF-8 without one"), "{error}");
            assert_eq!(error.line(), 1);
        }
    }

    #[test]
    fn trailing_text_numbers_out_of_range_and_deep_nesting_are_refused() {
        let deep = "[".repeat(10_000);
        for text in ["{} {}", "1e400", "NaN", "{\"a\":}", "", deep.as_str()] {
            assert!(parse_strict(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse_strict(b"\"\xff\"").is_err());
    }

    /// The deserializer's events under `arbitrary_precision`, which one crate enables for all.
    #[test]
    fn a_number_that_arrives_as_text_is_a_number() {
        let text = format!("{{\"exp\":{{\"{NUMBER}\":\"17\"}}}}");
        let read = |text: &str, numbers_as_text| {
            let mut from = serde_json::Deserializer::from_str(text);
            Strict { numbers_as_text, at: &Place::Root, duplicates: None }.deserialize(&mut from)
        };
        assert_eq!(read(&text, true).unwrap()["exp"].as_u64(), Some(17));
        assert!(read(&text.replace("17", "x"), true).is_err());
        // Without that feature, the deserializer passes no number like this.
        assert!(read(&text, false).unwrap()["exp"].is_object());
    }

    #[test]
    fn ordinary_json_has_the_same_value_as_in_serde_json() {
        let text = br#"{"a":[1,-2,3.5,null,true,"x"],"b":{}}"#;
        assert_eq!(parse_strict(text).unwrap(), serde_json::from_slice::<Value>(text).unwrap());
    }
}
