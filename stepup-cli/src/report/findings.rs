//! Findings and their output formats: text for people, JSON for programs, SARIF 2.1.0 for code scanning, and
//! annotations of a workflow run on GitHub.

use crate::report::challenges::{self, IssuerChallenge};
use crate::report::display::visible;
use crate::report::position::Position;
use crate::report::waived::Waived;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A line for each finding.
    Text,
    /// One document, for programs.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Annotations of a workflow run on GitHub.
    Github,
}

/// The level of a finding.
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

/// One finding.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// The name of its rule.
    pub(crate) rule: String,
    /// What the rule finds.
    pub(crate) description: String,
    pub(crate) level: Level,
    /// The endpoint's method and path, if the finding is about one.
    pub(crate) route: Option<String>,
    pub(crate) message: String,
    pub(crate) position: Position,
    /// The file of the finding, if it is not the report's.
    pub(crate) file: Option<String>,
    pub(crate) waived: Waived,
}

/// All findings in a file.
pub(crate) struct Report {
    /// The file's name.
    pub(crate) file: String,
    pub(crate) items: Vec<Item>,
    /// What the endpoints' challenges request, if issuers were checked.
    pub(crate) challenges: Vec<IssuerChallenge>,
}

impl Report {
    /// How many findings have this level, without waived ones.
    pub(crate) fn count(&self, level: Level) -> usize {
        let counts = |item: &&Item| item.level == level && !item.waived.applies();
        self.items.iter().filter(counts).count()
    }

    pub(crate) fn to_text(&self, format: Format) -> String {
        match format {
            Format::Text => {
                let lines = self.items.iter().map(|item| self.line(item) + "\n");
                lines.collect::<String>() + &challenges::to_text(&self.challenges)
            }
            Format::Json => {
                let mut document = json!({
                    "file": self.file,
                    "findings": self.items.iter().map(object).collect::<Vec<_>>(),
                });
                if !self.challenges.is_empty() {
                    document["challenges"] =
                        self.challenges.iter().map(IssuerChallenge::to_json).collect();
                }
                pretty(&document)
            }
            Format::Sarif => pretty(&self.sarif()),
            Format::Github => self.github(),
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
            self.items.iter().map(|item| (item.rule.as_str(), item.description.as_str())).collect();
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
        if let Waived::Yes(reason) = &item.waived {
            result["suppressions"] = json!([{"kind": "external", "justification": reason}]);
        }
        result
    }

    /// GitHub's workflow commands, with their own escapes.
    fn github(&self) -> String {
        let escaped = |text: &str| visible(text).replace('%', "%25");
        let property = |text: &str| escaped(text).replace(':', "%3A").replace(',', "%2C");
        let mut text = String::new();
        for item in self.items.iter().filter(|item| !item.waived.applies()) {
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

    /// The place in the document, and the expired waiver, if any.
    fn more(&self) -> String {
        let pointer = self.position.pointer.clone().filter(|pointer| !pointer.is_empty());
        // An error of the document has its pointer in the message.
        let mut more = Vec::from_iter(pointer.filter(|pointer| !self.message.contains(pointer)));
        if let Waived::Expired(day) = &self.waived {
            more.push(format!("the exception expired on {day}"));
        }
        more.join(", ")
    }
}

fn object(item: &Item) -> Value {
    let (waived, expired) = item.waived.reason_and_last_day();
    json!({
        "rule": item.rule,
        "level": item.level.as_str(),
        "route": item.route,
        "message": item.message,
        "pointer": item.position.pointer,
        "line": item.position.line,
        "waived": waived,
        "waiver-expired": expired,
    })
}

/// A file as a reference (RFC 3986 §4.1).
fn reference(file: &str) -> String {
    const ENCODED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'~');
    let reference = utf8_percent_encode(file, ENCODED).to_string();
    // An absolute path is a file URL (RFC 8089 §2).
    if reference.starts_with('/') { format!("file://{reference}") } else { reference }
}

/// The text of a document, with a final newline.
pub(crate) fn pretty(document: &Value) -> String {
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_becomes_a_valid_reference() {
        assert_eq!(reference("api/contract-1.json"), "api/contract-1.json");
        assert_eq!(reference("a b:c%20é?.json"), "a%20b%3Ac%2520%C3%A9%3F.json");
        assert_eq!(reference("/a b/c.json"), "file:///a%20b/c.json");
    }
}
