//! The `.stepup` link section of a program's file.

use std::path::{Path, PathBuf};
use std::{fs, io};
use stepup_contract::program::{self, ProgramError};
use thiserror::Error;

/// Why a file's section cannot be had.
#[derive(Debug, Error)]
pub(crate) enum BinaryError {
    #[error("{path}: {error}")]
    Io { path: PathBuf, error: io::Error },
    #[error("{path} {error}")]
    Program { path: PathBuf, error: ProgramError },
}

/// The bytes of the file's `.stepup` section; empty when it has none.
pub(crate) fn section(path: &Path) -> Result<Vec<u8>, BinaryError> {
    let data = fs::read(path).map_err(|error| BinaryError::Io { path: path.into(), error })?;
    section_of(&data, path)
}

/// The bytes of this program's `.stepup` section; `path` is for the error.
pub(crate) fn section_of(data: &[u8], path: &Path) -> Result<Vec<u8>, BinaryError> {
    program::section(data).map_err(|error| BinaryError::Program { path: path.into(), error })
}
