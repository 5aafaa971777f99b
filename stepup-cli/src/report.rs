//! What commands find, and the forms in which they tell it: text for people, JSON for programs, SARIF 2.1.0 for
//! code scanning, and the annotations of a workflow run on GitHub.

use crate::input::Position;
use crate::waivers::Waived;
use crate::wording::visible;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// A line for each finding.
    Text,
    /// One document, for programs.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Annotations of a workflow run on GitHub.
    Github,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Error,
    Warning,
    Note,
    Off,
}

impl Level {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Error, "error"),
        (Self::Warning, "warning"),
        (Self::Note, "note"),
        (Self::Off, "off"),
    ];

    pub(crate) fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(level, _)| *level == self).map_or("", |(_, name)| name)
    }
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let known = Self::ALL.iter().find(|(_, name)| *name == text).map(|(level, _)| *level);
        known.ok_or_else(|| D::Error::custom("write \"error\", \"warning\", \"note\" or \"off\""))
    }
}

/// One thing that was found.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// The name of the rule that found it.
    pub(crate) rule: String,
    /// What the rule looks for.
    pub(crate) describes: String,
    pub(crate) level: Level,
    /// The endpoint's method and path, where it is about one.
    pub(crate) route: Option<String>,
    pub(crate) message: String,
    pub(crate) position: Position,
    /// The file in which it stands, where it is not the report's.
    pub(crate) file: Option<String>,
    /// What a waiver names; empty where nothing can be waived.
    pub(crate) fingerprint: String,
    pub(crate) waived: Waived,
}

/// Everything that was found in a file.
pub(crate) struct Report {
    /// The file's name.
    pub(crate) file: String,
    pub(crate) items: Vec<Item>,
}

impl Report {
    /// How many of this level stand, waived ones apart.
    pub(crate) fn count(&self, level: Level) -> usize {
        let stands = |item: &&Item| item.level == level && !item.waived.is_waived();
        self.items.iter().filter(stands).count()
    }

    pub(crate) fn written(&self, form: Form) -> String {
        match form {
            Form::Text => {
                self.items.iter().fold(String::new(), |text, item| text + &self.line(item) + "\n")
            }
            Form::Json => pretty(&json!({
                "file": self.file,
                "findings": self.items.iter().map(object).collect::<Vec<_>>(),
            })),
            Form::Sarif => pretty(&self.sarif()),
            Form::Github => self.github(),
        }
    }

    fn line(&self, item: &Item) -> String {
        let mut text = match &item.waived {
            Waived::Yes(reason) => format!("waived ({}): ", visible(reason)),
            Waived::No | Waived::Expired(_) => format!("{}: ", item.level.as_str()),
        };
        text.push_str(&visible(&item.sentence()));
        let file = item.file.as_ref().unwrap_or(&self.file);
        let _ = write!(text, " ({file}");
        if let Some(line) = item.position.line {
            let _ = write!(text, ":{line}");
        }
        let more = item.more();
        let _ = write!(text, ", {}{}{more})", item.rule, if more.is_empty() { "" } else { ", " });
        text
    }

    fn sarif(&self) -> Value {
        let rules: BTreeMap<&str, &str> =
            self.items.iter().map(|item| (item.rule.as_str(), item.describes.as_str())).collect();
        let rules: Vec<Value> = rules
            .iter()
            .map(|(id, text)| json!({"id": id, "shortDescription": {"text": text}}))
            .collect();
        let results: Vec<Value> = self.items.iter().map(|item| self.result(item)).collect();
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": {"driver": {
                    "name": "stepup",
                    "version": env!("CARGO_PKG_VERSION"),
                    "rules": rules,
                }},
                "results": results,
            }],
        })
    }

    fn result(&self, item: &Item) -> Value {
        let file = item.file.as_ref().unwrap_or(&self.file);
        let mut place = json!({"artifactLocation": {"uri": reference(file)}});
        if let Some(line) = item.position.line {
            place["region"] = json!({"startLine": line});
        }
        let mut location = json!({"physicalLocation": place});
        if let Some(pointer) = &item.position.pointer {
            location["logicalLocations"] = json!([{"fullyQualifiedName": pointer}]);
        }
        let mut result = json!({
            "ruleId": item.rule,
            "level": item.level.as_str(),
            "message": {"text": item.sentence()},
            "locations": [location],
        });
        if !item.fingerprint.is_empty() {
            result["partialFingerprints"] = json!({"stepup/v1": item.fingerprint});
        }
        if let Waived::Yes(reason) = &item.waived {
            result["suppressions"] = json!([{"kind": "external", "justification": reason}]);
        }
        result
    }

    /// The workflow commands of GitHub, with their own escapes.
    fn github(&self) -> String {
        let escaped = |text: &str| visible(text).replace('%', "%25");
        let property = |text: &str| escaped(text).replace(':', "%3A").replace(',', "%2C");
        let mut text = String::new();
        for item in self.items.iter().filter(|item| !item.waived.is_waived()) {
            let level = match item.level {
                Level::Error => "error",
                Level::Warning => "warning",
                Level::Note | Level::Off => "notice",
            };
            let file = item.file.as_ref().unwrap_or(&self.file);
            let _ = write!(text, "::{level} file={}", property(file));
            if let Some(line) = item.position.line {
                let _ = write!(text, ",line={line}");
            }
            let (rule, sentence) = (property(&item.rule), escaped(&item.sentence()));
            let _ = write!(text, ",title=Step-up {rule}::{sentence}");
            let more = escaped(&item.more());
            let _ = writeln!(text, "{}", if more.is_empty() { more } else { format!(" ({more})") });
        }
        text
    }
}

impl Item {
    /// The endpoint and the message.
    fn sentence(&self) -> String {
        let route = self.route.as_ref().map(|route| format!("{route}: ")).unwrap_or_default();
        format!("{route}{}", self.message)
    }

    /// Where in the document it stands, the name for a waiver, and that one has ended; nothing of what is said in
    /// the message and cannot be waived.
    fn more(&self) -> String {
        if self.fingerprint.is_empty() {
            return String::new();
        }
        let pointer = self.position.pointer.clone().filter(|pointer| !pointer.is_empty());
        let mut more = Vec::from_iter(pointer);
        more.push(self.fingerprint.clone());
        if let Waived::Expired(day) = &self.waived {
            more.push(format!("its waiver ended on {day}"));
        }
        more.join(", ")
    }
}

fn object(item: &Item) -> Value {
    let (waived, expired) = item.waived.told();
    json!({
        "rule": item.rule,
        "level": item.level.as_str(),
        "route": item.route,
        "message": item.message,
        "pointer": item.position.pointer,
        "line": item.position.line,
        "fingerprint": item.fingerprint,
        "waived": waived,
        "waiver-expired": expired,
    })
}

/// A file as a reference (RFC 3986 §4.1).
fn reference(file: &str) -> String {
    const ENCODED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'~');
    let reference = utf8_percent_encode(file, ENCODED).to_string();
    // From the root on, it is an address of its own (RFC 8089 §2).
    if reference.starts_with('/') { format!("file://{reference}") } else { reference }
}

/// The text of a document, with a newline at its end.
pub(crate) fn pretty(document: &Value) -> String {
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_a_reference_whatever_its_name() {
        assert_eq!(reference("api/contract-1.json"), "api/contract-1.json");
        assert_eq!(reference("a b:c%20é?.json"), "a%20b%3Ac%2520%C3%A9%3F.json");
        assert_eq!(reference("/a b/c.json"), "file:///a%20b/c.json");
    }
}
