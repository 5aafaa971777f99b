//! Contracts as commands are given them: JSON, or a compiled program that carries one.

use crate::binary::section_of;
use crate::failure::{Failure, Located};
use crate::lines::Lines;
use crate::output::tell;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use stepup_contract::program::is_program;
use stepup_contract::{Contract, ContractError, ContractView};

/// A contract and the text that it was read from.
pub(crate) struct Source {
    pub(crate) contract: Contract,
    /// The handlers of a compiled program that nothing gives a route. The contract lacks them.
    pub(crate) routeless: Vec<String>,
    /// The text, and where in it each endpoint stands; nothing of a compiled program.
    text: Option<(String, Vec<String>)>,
}

impl Source {
    /// Where things stand in its text.
    pub(crate) fn positions(&self) -> Positions<'_> {
        Positions(self.text.as_ref().map(|(text, pointers)| (Lines::of(text), pointers.as_slice())))
    }
}

/// Where something stands in a file; nowhere in a compiled program.
#[derive(Debug, Clone, Default)]
pub(crate) struct Position {
    /// As a JSON pointer (RFC 6901).
    pub(crate) pointer: Option<String>,
    /// The first line is 1.
    pub(crate) line: Option<usize>,
}

/// See [`Source::positions`].
pub(crate) struct Positions<'a>(Option<(Lines<'a>, &'a [String])>);

impl Positions<'_> {
    /// That of an endpoint, by its index in the contract.
    pub(crate) fn endpoint(&mut self, index: usize) -> Position {
        self.within(index, "")
    }

    /// That of what this pointer points at in an endpoint.
    pub(crate) fn within(&mut self, index: usize, pointer: &str) -> Position {
        let endpoint = self.0.as_ref().and_then(|(_, pointers)| pointers.get(index).cloned());
        endpoint.map_or_else(Position::default, |endpoint| self.at(&(endpoint + pointer)))
    }

    /// That of what this pointer points at.
    pub(crate) fn at(&mut self, pointer: &str) -> Position {
        let line = |(lines, _): &mut (Lines<'_>, _)| Position {
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
    whole(examined(path)?, path)
}

/// The contract in this file, though it may lack handlers.
pub(crate) fn examined(path: &Path) -> Result<Source, Failure> {
    read(&bytes(path)?, path)
}

/// The contract in this file, to be shown. What is not understood in it is told on standard error.
pub(crate) fn view(path: &Path) -> Result<ContractView, Failure> {
    let bytes = bytes(path)?;
    if is_program(&bytes) {
        return Ok(whole(read(&bytes, path)?, path)?.contract.into());
    }
    let text = String::from_utf8_lossy(&bytes);
    let view = ContractView::parse(&bytes).map_err(|errors| wrong(path, &errors, &text))?;
    for warning in located(view.warnings(), &text) {
        tell(format_args!("warning: {}; it is not shown", warning.at(path)));
    }
    Ok(view)
}

fn read(bytes: &[u8], path: &Path) -> Result<Source, Failure> {
    if is_program(bytes) {
        let examined = Contract::examine_section(&section_of(bytes, path)?);
        let (contract, routeless) = examined.map_err(|errors| wrong(path, &errors, ""))?;
        return Ok(Source { contract, routeless, text: None });
    }
    // What is read as JSON is text.
    let text = String::from_utf8_lossy(bytes);
    let (contract, pointers) =
        Contract::located(bytes).map_err(|errors| wrong(path, &errors, &text))?;
    Ok(Source { contract, routeless: Vec::new(), text: Some((text.into_owned(), pointers)) })
}

/// The source, unless it lacks handlers.
fn whole(source: Source, path: &Path) -> Result<Source, Failure> {
    if source.routeless.is_empty() {
        return Ok(source);
    }
    let handlers = source.routeless.into_iter();
    let errors: Vec<_> = handlers.map(|handler| ContractError::NoRoute { handler }).collect();
    Err(wrong(path, &errors, ""))
}

fn wrong(path: &Path, errors: &[ContractError], text: &str) -> Failure {
    Failure::Contract { path: path.to_owned(), errors: located(errors, text) }
}

/// All of this file; `-` is standard input.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |why| Failure::Unreadable { path: path.to_owned(), why };
    if path != Path::new("-") {
        return fs::read(path).map_err(unreadable);
    }
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn located(errors: &[ContractError], text: &str) -> Vec<Located> {
    let mut lines = Lines::of(text);
    let located = errors.iter().map(|error| Located {
        line: match error {
            ContractError::Json(why) => Some(why.line()),
            error => error.pointer().and_then(|pointer| lines.line(pointer)),
        },
        error: error.clone(),
    });
    let mut located: Vec<Located> = located.collect();
    located.sort_by_key(|located| located.line);
    located
}
