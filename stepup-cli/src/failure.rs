//! Why a command did not come to a good end, and the exit code that says so.

use crate::binary::BinaryError;
use crate::build;
use crate::wording::visible;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use stepup_contract::{ContractError, Tangled};
use stepup_runtime::{BuildError, IssuerError};
use thiserror::Error;

/// See the module.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("error: {0}")]
    Binary(#[from] BinaryError),
    #[error("error: {0}")]
    Build(#[from] build::BuildError),
    #[error("{}", report(.path, .errors))]
    Contract { path: PathBuf, errors: Vec<Located> },
    #[error("error: {}: {why}", .path.display())]
    Unreadable { path: PathBuf, why: io::Error },
    #[error("error: {}: {why}", .path.display())]
    Settings { path: PathBuf, why: String },
    #[error("error: {0}")]
    Issuer(#[from] IssuerError),
    #[error("error: {0}")]
    StepUp(#[from] Box<BuildError>),
    #[error("error: cannot listen on {address}: {why}")]
    Listen { address: SocketAddr, why: io::Error },
    #[error("error: {0}")]
    Tangled(#[from] Tangled),
    #[error("error: {0}")]
    Usage(String),
    /// What was found has been printed.
    #[error("{0}")]
    Found(String),
    #[error("error: the output could not be written: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// 1 when what was examined is not in order, 2 when it could not be examined. Whether a document is a
    /// contract is what some commands examine (`contracts`), and what others need to begin with.
    pub(crate) fn exit_code(&self, contracts: bool) -> u8 {
        match self {
            Self::Found(_) => 1,
            Self::Contract { .. } if contracts => 1,
            _ => 2,
        }
    }
}

/// An error of a contract, and the line of its text.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) line: Option<usize>,
    pub(crate) error: ContractError,
}

impl Located {
    /// Where it is in this file, and what it is.
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
