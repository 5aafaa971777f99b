//! Why a command failed, and its exit code.

use crate::report::display::visible;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use stepup_contract::ContractError;
use thiserror::Error;

/// Why a command failed.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// A document is not a contract.
    #[error("{}", report(.path, .errors))]
    Contract { path: PathBuf, errors: Vec<Located> },
    /// A file cannot be read.
    #[error("error: {}: {source}", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// A settings file is invalid.
    #[error("error: {}: {reason}", .path.display())]
    Settings { path: PathBuf, reason: String },
    /// Wrong arguments.
    #[error("error: {0}")]
    Usage(String),
    /// Any other error, with its causes.
    #[error("error: {}", chain(.0.as_ref()))]
    Other(Box<dyn Error + Send + Sync>),
    /// The findings, which are printed already, are not in order. The text is a summary, or empty.
    #[error("{0}")]
    Findings(String),
    #[error("error: the output could not be written: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// Wraps an error.
    pub(crate) fn other(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Other(Box::new(error))
    }

    /// 1 if the examined contract or token is not in order, 2 if it could not be examined. An invalid contract is a
    /// finding for a command that `examines_contract`, and wrong input for the others.
    pub(crate) fn exit_code(&self, examines_contract: bool) -> u8 {
        match self {
            Self::Findings(_) => 1,
            Self::Contract { .. } if examines_contract => 1,
            _ => 2,
        }
    }
}

/// An error with its causes on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// An error of a contract, and its line in the text.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) line: Option<usize>,
    pub(crate) error: ContractError,
}

impl Located {
    /// The place in this file, and the error.
    pub(crate) fn at(&self, path: &Path) -> String {
        let (path, error) = (path.display(), visible(&self.error.to_string()));
        match self.line {
            Some(line) => format!("{path}:{line}: {error}"),
            None => format!("{path}: {error}"),
        }
    }
}

fn report(path: &Path, errors: &[Located]) -> String {
    let lines = errors.iter().map(|error| format!("error: {}", error.at(path)));
    lines.collect::<Vec<_>>().join("\n")
}
