//! Contracts as commands receive them: JSON, or a compiled program that contains one.

use crate::contract_file::binary::section_of;
use crate::contract_file::json_lines::JsonLines;
use crate::report::failure::{Failure, Located};
use crate::report::output::print_error;
use crate::report::position::Position;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use stepup_contract::object_file::is_program;
use stepup_contract::{Contract, ContractError, ContractView};

/// A contract and the text that it was read from.
pub(crate) struct Source {
    pub(crate) contract: Contract,
    /// The handlers of a compiled program that have no route. The contract lacks them.
    pub(crate) routeless: Vec<String>,
    /// The text and the places of its endpoints; `None` for a compiled program.
    text: Option<(String, Vec<String>)>,
}

impl Source {
    /// The places in its text.
    pub(crate) fn positions(&self) -> Positions<'_> {
        let text = self.text.as_ref();
        Positions(text.map(|(text, pointers)| (JsonLines::new(text), pointers.as_slice())))
    }
}

/// The places in a contract's text; see [`Source::positions`].
pub(crate) struct Positions<'a>(Option<(JsonLines<'a>, &'a [String])>);

impl Positions<'_> {
    /// The place of an endpoint, by its index in the contract.
    pub(crate) fn endpoint(&mut self, index: usize) -> Position {
        self.within(index, "")
    }

    /// The place of this pointer within an endpoint.
    pub(crate) fn within(&mut self, index: usize, pointer: &str) -> Position {
        let endpoint = self.0.as_ref().and_then(|(_, pointers)| pointers.get(index).cloned());
        endpoint.map_or_else(Position::default, |endpoint| self.at(&(endpoint + pointer)))
    }

    /// The place that this pointer points at.
    pub(crate) fn at(&mut self, pointer: &str) -> Position {
        let line = |(lines, _): &mut (JsonLines<'_>, _)| Position {
            pointer: Some(pointer.to_owned()),
            line: lines.line(pointer),
        };
        self.0.as_mut().map_or_else(Position::default, line)
    }
}

/// The contract in this file; `-` is standard input.
pub(crate) fn contract(path: &Path) -> Result<Contract, Failure> {
    source(path).map(|source| source.contract)
}

/// The contract in this file, and its text.
pub(crate) fn source(path: &Path) -> Result<Source, Failure> {
    complete(inspect(path)?, path)
}

/// The contract in this file, which may lack handlers.
pub(crate) fn inspect(path: &Path) -> Result<Source, Failure> {
    read(&bytes(path)?, path)
}

/// The contract in this file, for display. Unknown fields are reported on standard error.
pub(crate) fn view(path: &Path) -> Result<ContractView, Failure> {
    let bytes = bytes(path)?;
    if is_program(&bytes) {
        return Ok(complete(read(&bytes, path)?, path)?.contract.into());
    }
    let text = String::from_utf8_lossy(&bytes);
    let view = ContractView::parse(&bytes).map_err(|errors| invalid(path, &errors, &text))?;
    for warning in located(view.warnings(), &text) {
        print_error(format_args!("warning: {}; it is not displayed", warning.at(path)));
    }
    Ok(view)
}

fn read(bytes: &[u8], path: &Path) -> Result<Source, Failure> {
    if is_program(bytes) {
        let examined = Contract::examine_section(&section_of(bytes, path)?);
        let (contract, routeless) = examined.map_err(|errors| invalid(path, &errors, ""))?;
        return Ok(Source { contract, routeless, text: None });
    }
    let text = String::from_utf8_lossy(bytes);
    let (contract, pointers) =
        Contract::located(bytes).map_err(|errors| invalid(path, &errors, &text))?;
    Ok(Source { contract, routeless: Vec::new(), text: Some((text.into_owned(), pointers)) })
}

/// The source, unless it lacks handlers.
fn complete(source: Source, path: &Path) -> Result<Source, Failure> {
    if source.routeless.is_empty() {
        return Ok(source);
    }
    let handlers = source.routeless.into_iter();
    let errors: Vec<_> = handlers.map(|handler| ContractError::NoRoute { handler }).collect();
    Err(invalid(path, &errors, ""))
}

fn invalid(path: &Path, errors: &[ContractError], text: &str) -> Failure {
    Failure::Contract { path: path.to_owned(), errors: located(errors, text) }
}

/// The content of this file; `-` is standard input.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |source| Failure::Unreadable { path: path.to_owned(), source };
    if path != Path::new("-") {
        return fs::read(path).map_err(unreadable);
    }
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn located(errors: &[ContractError], text: &str) -> Vec<Located> {
    let mut lines = JsonLines::new(text);
    let located = errors.iter().map(|error| Located {
        line: match error {
            ContractError::Json(error) => Some(error.line()),
            error => error.pointer().and_then(|pointer| lines.line(pointer)),
        },
        error: error.clone(),
    });
    let mut located: Vec<Located> = located.collect();
    located.sort_by_key(|located| located.line);
    located
}
