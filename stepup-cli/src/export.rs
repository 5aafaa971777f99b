//! `stepup export`: from the program's link section to the canonical JSON.

use crate::binary::{BinaryError, section};
use crate::build::{BuildError, Target, program};
use std::io::{self, Write};
use std::path::PathBuf;
use stepup_contract::{Contract, ContractErrors};
use thiserror::Error;

/// Print the contract of a compiled program.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The compiled program: an ELF, Mach-O or PE file.
    #[arg(value_name = "FILE", required_unless_present = "package", conflicts_with = "package")]
    file: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

/// Why nothing was exported.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("error: {0}")]
    Binary(#[from] BinaryError),
    #[error("error: {0}")]
    Build(#[from] BuildError),
    #[error("{}", report(.path, .errors))]
    Contract { path: PathBuf, errors: ContractErrors },
    #[error("error: the contract could not be written: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Contract { .. } => 1,
            _ => 2,
        }
    }
}

fn report(path: &std::path::Path, errors: &ContractErrors) -> String {
    let lines = errors.iter().map(|error| format!("error: {}: {error}", path.display()));
    lines.collect::<Vec<_>>().join("\n")
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = match (&arguments.file, &arguments.target.package) {
        (Some(file), _) => file.clone(),
        (None, Some(package)) => program(package, &arguments.target)?,
        // clap has made sure that one of them is there.
        (None, None) => PathBuf::new(),
    };
    let section = section(&path)?;
    let contract =
        Contract::from_section(&section).map_err(|errors| Failure::Contract { path, errors })?;
    io::stdout().lock().write_all(contract.to_json().as_bytes())?;
    Ok(())
}
