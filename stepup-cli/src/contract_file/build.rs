//! Builds a package with cargo and returns the path of its program.

use crate::report::failure::Failure;
use serde_json::Value;
use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use thiserror::Error;

/// What to build.
#[derive(Debug, clap::Args)]
pub(crate) struct Target {
    /// Build this package first, and export its program.
    #[arg(long, value_name = "NAME")]
    pub(crate) package: Option<String>,
    /// The program, if the package has several.
    #[arg(long, value_name = "NAME", requires = "package")]
    bin: Option<String>,
    /// Build with the release profile.
    #[arg(long, requires = "package")]
    release: bool,
    /// Build with this profile.
    #[arg(long, value_name = "NAME", requires = "package", conflicts_with = "release")]
    profile: Option<String>,
    /// Build with these features.
    #[arg(long, value_name = "FEATURES", requires = "package")]
    features: Option<String>,
}

/// Why cargo built no program.
#[derive(Debug, Error)]
pub(crate) enum BuildError {
    #[error("cargo could not be started")]
    Cargo(#[source] std::io::Error),
    #[error("cargo could not build {0}; its messages are above")]
    Failed(String),
    #[error("the package {0} has no program; name a package with a binary target")]
    NoProgram(String),
    #[error("the package {package} has several programs ({programs}); choose one with --bin NAME")]
    Several { package: String, programs: String },
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        Self::other(error)
    }
}

/// Builds the package and returns its program's path.
pub(crate) fn program(package: &str, target: &Target) -> Result<PathBuf, BuildError> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--message-format=json-render-diagnostics", "--package", package]);
    match &target.bin {
        Some(bin) => cargo.args(["--bin", bin]),
        None => cargo.arg("--bins"),
    };
    if target.release {
        cargo.arg("--release");
    }
    if let Some(profile) = &target.profile {
        cargo.args(["--profile", profile]);
    }
    if let Some(features) = &target.features {
        cargo.args(["--features", features]);
    }
    let output = cargo.stderr(Stdio::inherit()).output().map_err(BuildError::Cargo)?;
    if !output.status.success() {
        return Err(BuildError::Failed(package.to_owned()));
    }
    let messages = output.stdout.split(|byte| *byte == b'\n');
    let mut programs: Vec<(String, PathBuf)> = messages.filter_map(program_of).collect();
    match programs.len() {
        0 => Err(BuildError::NoProgram(package.to_owned())),
        1 => Ok(programs.remove(0).1),
        _ => {
            let names: Vec<&str> = programs.iter().map(|(name, _)| name.as_str()).collect();
            let programs = names.join(", ");
            Err(BuildError::Several { package: package.to_owned(), programs })
        }
    }
}

/// The name and the path of the program in one of cargo's messages.
fn program_of(message: &[u8]) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_slice(message).ok()?;
    let path = message.get("executable")?.as_str()?;
    let name = message.get("target")?.get("name")?.as_str()?;
    Some((name.to_owned(), path.into()))
}
