//! The settings file, `stepup.toml`: how much each lint matters, what is waived, who issues tokens, and how
//! the gateway runs. A word that is not known is an error, since it may have been meant to protect.

use crate::failure::Failure;
use crate::gateway::Options;
use crate::issuer::IssuerArguments;
use crate::report::Level;
use crate::waivers::Waiver;
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use stepup_contract::{ParseNameError, Rule};

/// See the module.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Settings {
    /// How much each lint matters.
    #[serde(default)]
    pub(crate) lints: Lints,
    /// What may stay.
    #[serde(default)]
    pub(crate) waivers: Vec<Waiver>,
    /// The issuers whose tokens are accepted.
    #[serde(default)]
    pub(crate) issuers: Vec<IssuerArguments>,
    /// How the gateway runs.
    #[serde(default)]
    pub(crate) gateway: Options,
}

/// How much each lint matters, and the limits that they know.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Lints {
    /// The longest `max-age` that is not found to be long, in seconds.
    pub(crate) longest_max_age: u32,
    #[serde(flatten, deserialize_with = "levels")]
    levels: Vec<(Rule, Level)>,
}

impl Default for Lints {
    fn default() -> Self {
        Self { longest_max_age: 3600, levels: Vec::new() }
    }
}

impl Lints {
    /// How much this rule matters.
    pub(crate) fn level(&self, rule: Rule) -> Level {
        let said = self.levels.iter().find(|(known, _)| *known == rule);
        said.map(|(_, level)| *level).unwrap_or(match rule {
            // Without it there is no contract at all.
            Rule::NoRoute => Level::Error,
            // Nobody would be let in.
            Rule::Unenforceable => Level::Error,
            Rule::NoScopes => Level::Note,
            _ => Level::Warning,
        })
    }
}

fn levels<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(Rule, Level)>, D::Error> {
    let levels = BTreeMap::<String, toml::Value>::deserialize(from)?.into_iter();
    let read = |(rule, level): (String, toml::Value)| {
        // The name first: a limit that is misspelled is no level.
        let rule: Rule = rule.parse().map_err(|why: ParseNameError| match rule.as_str() {
            "longest_max_age" => "unknown lint `longest_max_age`; write longest-max-age".to_owned(),
            _ => why.to_string(),
        })?;
        let level =
            Level::deserialize(level).map_err(|why| format!("{rule}: {}", why.message()))?;
        Ok((rule, level))
    };
    levels.map(|entry| read(entry).map_err(D::Error::custom::<String>)).collect()
}

/// Where a command finds its settings.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct From {
    /// The settings, in TOML [default: stepup.toml in this folder, where there is one].
    #[arg(long, value_name = "FILE", env = "STEPUP_CONFIG")]
    config: Option<PathBuf>,
}

impl From {
    /// The settings of the file that was named, else of `stepup.toml` where there is one.
    pub(crate) fn near(&self) -> Result<Settings, Failure> {
        let near = Path::new("stepup.toml");
        // A link that leads nowhere is an error, not the absence of settings.
        let there = near.symlink_metadata().is_ok();
        let path = self.config.as_deref().or_else(|| there.then_some(near));
        path.map_or_else(|| Ok(Settings::default()), read)
    }
}

fn read(path: &Path) -> Result<Settings, Failure> {
    let unreadable = |why| Failure::Unreadable { path: path.to_owned(), why };
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let wrong = |why| Failure::Settings { path: path.to_owned(), why };
    // The error shows the line.
    let settings: Settings = toml::from_str(&text).map_err(|why| wrong(why.to_string()))?;
    let contradicts = settings.issuers.iter().find_map(IssuerArguments::contradiction);
    contradicts.or_else(|| twice(&settings.issuers)).map_or(Ok(settings), |why| Err(wrong(why)))
}

/// Of an issuer that stands twice, one would count for nothing.
fn twice(issuers: &[IssuerArguments]) -> Option<String> {
    let mut names = HashSet::new();
    let mut named = issuers.iter().filter_map(|issuer| issuer.issuer.as_deref());
    let name = named.find(|name| !names.insert(*name))?;
    Some(format!("the issuer {name:?} stands twice; give one of them all its audiences"))
}
