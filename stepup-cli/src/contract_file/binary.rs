//! The `.stepup` link section of a program's file.

use crate::report::failure::Failure;
use std::path::{Path, PathBuf};
use std::{fs, io};
use stepup_contract::object_file::{self, ObjectFileError};
use thiserror::Error;

/// Why a file's section cannot be read.
#[derive(Debug, Error)]
pub(crate) enum BinaryError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path} {error}")]
    ObjectFile { path: PathBuf, error: ObjectFileError },
}

impl From<BinaryError> for Failure {
    fn from(error: BinaryError) -> Self {
        match error {
            BinaryError::Io { path, source } => Self::Unreadable { path, source },
            // The message contains its cause.
            BinaryError::ObjectFile { .. } => Self::Usage(error.to_string()),
        }
    }
}

/// The bytes of the file's `.stepup` section; empty if it has none.
pub(crate) fn section(path: &Path) -> Result<Vec<u8>, BinaryError> {
    let data = fs::read(path).map_err(|source| BinaryError::Io { path: path.into(), source })?;
    section_of(&data, path)
}

/// The bytes of this program's `.stepup` section; `path` is for the error.
pub(crate) fn section_of(data: &[u8], path: &Path) -> Result<Vec<u8>, BinaryError> {
    object_file::section(data).map_err(|error| BinaryError::ObjectFile { path: path.into(), error })
}
