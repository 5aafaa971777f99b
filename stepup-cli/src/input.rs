//! Contracts as commands are given them: JSON, or a compiled program that carries one.

use crate::binary::section_of;
use crate::failure::Failure;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use stepup_contract::Contract;
use stepup_contract::program::is_program;

/// The contract in this file; `-` is standard input.
pub(crate) fn contract(path: &Path) -> Result<Contract, Failure> {
    let unreadable = |why| Failure::Unreadable { path: path.to_owned(), why };
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().read_to_end(&mut bytes).map_err(unreadable)?;
    } else {
        bytes = fs::read(path).map_err(unreadable)?;
    }
    let parsed = if is_program(&bytes) {
        Contract::from_section(&section_of(&bytes, path)?)
    } else {
        Contract::parse(&bytes)
    };
    parsed.map_err(|errors| Failure::Contract { path: path.to_owned(), errors })
}
