//! The line of a JSON text that a JSON pointer points at.

use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;

/// A text with an index of its lines. Objects and arrays are parsed once.
pub(crate) struct JsonLines<'a> {
    text: &'a str,
    root: Option<&'a RawValue>,
    /// The start of each line.
    starts: Vec<usize>,
    known: HashMap<String, Children<'a>>,
}

/// The parts of an object or an array, by their names or indices.
type Children<'a> = HashMap<String, &'a RawValue>;

impl<'a> JsonLines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Self { text, root: serde_json::from_str(text).ok(), starts, known: HashMap::new() }
    }

    /// The line of the value that the pointer (RFC 6901) points at; if the value is missing, the line of its parent.
    /// The first line is 1.
    pub(crate) fn line(&mut self, pointer: &str) -> Option<usize> {
        let mut value = self.root?;
        let mut path = String::new();
        for token in pointer.split('/').skip(1) {
            if !self.known.contains_key(&path) {
                self.known.insert(path.clone(), children(value).unwrap_or_default());
            }
            let children = self.known.get(&path)?;
            let Some(child) = children.get(&token.replace("~1", "/").replace("~0", "~")) else {
                break;
            };
            value = child;
            path.push('/');
            path.push_str(token);
        }
        // A raw value is a part of the text.
        let at = (value.get().as_ptr() as usize).checked_sub(self.text.as_ptr() as usize)?;
        Some(self.starts.partition_point(|start| *start <= at))
    }
}

fn children(value: &RawValue) -> Option<Children<'_>> {
    let text = value.get();
    if text.starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        Some(items.into_iter().enumerate().map(|(at, item)| (at.to_string(), item)).collect())
    } else {
        let members: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(text).ok()?;
        Some(members.into_iter().map(|(name, member)| (name.into_owned(), member)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_has_the_line_of_its_value() {
        let text = "\n{\n \"a\": [1,\n  {\"b/c\":\n true}\n ],\n \"d\": {}}";
        let mut lines = JsonLines::new(text);
        for (pointer, line) in [
            ("", 2),
            ("/a", 3),
            ("/a/0", 3),
            ("/a/1", 4),
            ("/a/1/b~1c", 5),
            ("/d", 7),
            ("/d/missing/deeper", 7),
            ("/nothing", 2),
        ] {
            assert_eq!(lines.line(pointer), Some(line), "{pointer}");
        }
        assert_eq!(JsonLines::new("{").line("/a"), None);
    }
}
