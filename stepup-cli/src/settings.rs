//! The settings file, `stepup.toml`: how much each lint matters, what is waived, who issues tokens, and how
//! the gateway runs. A word that is not known is an error, since it may have been meant to protect.

use crate::failure::Failure;
use crate::gateway::Options;
use crate::issuer::IssuerArguments;
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// See the module.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Settings {
    /// The issuers whose tokens are accepted.
    #[serde(default)]
    pub(crate) issuers: Vec<IssuerArguments>,
    /// How the gateway runs.
    #[serde(default)]
    pub(crate) gateway: Options,
}

/// Where a command finds its settings.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct From {
    /// The settings, in TOML.
    #[arg(long, value_name = "FILE", env = "STEPUP_CONFIG")]
    config: Option<PathBuf>,
}

impl From {
    /// The settings of the file that was named; none otherwise.
    pub(crate) fn named(&self) -> Result<Settings, Failure> {
        self.config.as_deref().map_or_else(|| Ok(Settings::default()), read)
    }
}

fn read(path: &Path) -> Result<Settings, Failure> {
    let unreadable = |why| Failure::Unreadable { path: path.to_owned(), why };
    let text = fs::read_to_string(path).map_err(unreadable)?;
    // The error shows the line.
    toml::from_str(&text)
        .map_err(|why| Failure::Settings { path: path.to_owned(), why: why.to_string() })
}
