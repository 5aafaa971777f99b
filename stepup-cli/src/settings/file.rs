//! The settings file, `stepup.toml`: lint levels, waivers, accepted changes, issuers and the gateway. An unknown key is
//! an error, because it may be a misspelled protection.

use crate::report::failure::Failure;
use crate::report::findings::Level;
use crate::settings::accepted_changes::AcceptedChange;
use crate::settings::gateway_options::GatewayOptions;
use crate::settings::issuer::IssuerArguments;
use crate::settings::waivers::Waiver;
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use stepup_contract::{ParseNameError, Rule};

/// The content of the settings file.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Settings {
    /// The levels and limits of lints.
    #[serde(default)]
    pub(crate) lints: Lints,
    /// Accepted findings of `check`.
    #[serde(default)]
    pub(crate) waivers: Vec<Waiver>,
    /// Accepted changes of `diff`.
    #[serde(default)]
    pub(crate) accept: Vec<AcceptedChange>,
    /// The issuers whose tokens are accepted.
    #[serde(default)]
    pub(crate) issuers: Vec<IssuerArguments>,
    /// The gateway's options.
    #[serde(default)]
    pub(crate) gateway: GatewayOptions,
}

/// The levels of lints, and their limits.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Lints {
    /// The longest `max-age` that is not a finding, in seconds.
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
    /// The level of this rule.
    pub(crate) fn level(&self, rule: Rule) -> Level {
        let configured = self.levels.iter().find(|(known, _)| *known == rule);
        configured.map(|(_, level)| *level).unwrap_or(match rule {
            // The handler is in no contract.
            Rule::NoRoute => Level::Error,
            // The endpoint refuses every caller.
            Rule::Unenforceable => Level::Error,
            // Behind some servers, callers reach the stricter endpoint with less.
            Rule::Lookalike => Level::Error,
            Rule::NoScopes => Level::Note,
            _ => Level::Warning,
        })
    }
}

fn levels<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(Rule, Level)>, D::Error> {
    let levels = BTreeMap::<String, toml::Value>::deserialize(from)?.into_iter();
    let read = |(rule, level): (String, toml::Value)| {
        // The name is checked first, so that a misspelled limit is not reported as a wrong level.
        let rule: Rule = rule.parse().map_err(|error: ParseNameError| match rule.as_str() {
            "longest_max_age" => "unknown lint `longest_max_age`; write longest-max-age".to_owned(),
            _ => error.to_string(),
        })?;
        let level =
            Level::deserialize(level).map_err(|error| format!("{rule}: {}", error.message()))?;
        Ok((rule, level))
    };
    levels.map(|entry| read(entry).map_err(D::Error::custom::<String>)).collect()
}

/// The settings file of a command.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SettingsFile {
    /// The settings, in TOML [default: stepup.toml in the working directory, if it exists].
    #[arg(long, value_name = "FILE", env = "STEPUP_CONFIG")]
    config: Option<PathBuf>,
}

impl SettingsFile {
    /// Loads the named file, or `stepup.toml` if it exists.
    pub(crate) fn load(&self) -> Result<Settings, Failure> {
        let default = Path::new("stepup.toml");
        // A dangling link is an error, not the absence of settings.
        let exists = default.symlink_metadata().is_ok();
        let path = self.config.as_deref().or_else(|| exists.then_some(default));
        path.map_or_else(|| Ok(Settings::default()), read)
    }
}

/// Loads the settings in this file.
pub(crate) fn read(path: &Path) -> Result<Settings, Failure> {
    let unreadable = |source| Failure::Unreadable { path: path.to_owned(), source };
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let invalid = |reason| Failure::Settings { path: path.to_owned(), reason };
    // The error contains the line.
    let settings: Settings = toml::from_str(&text).map_err(|error| invalid(error.to_string()))?;
    let contradiction = settings.issuers.iter().find_map(IssuerArguments::contradiction);
    let reason = contradiction.or_else(|| duplicate_issuer(&settings.issuers));
    reason.map_or(Ok(settings), |reason| Err(invalid(reason)))
}

/// The error for an issuer that is configured twice.
fn duplicate_issuer(issuers: &[IssuerArguments]) -> Option<String> {
    let mut names = HashSet::new();
    let mut named = issuers.iter().filter_map(|issuer| issuer.issuer.as_deref());
    let name = named.find(|name| !names.insert(*name))?;
    Some(format!("duplicate issuer {name:?}; give one entry all its audiences"))
}
