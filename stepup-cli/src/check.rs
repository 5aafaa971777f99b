//! `stepup check`: whether a contract is one, and whether an issuer can satisfy it.

use crate::failure::Failure;
use crate::input::contract;
use crate::issuer::IssuerArguments;
use std::io::{self, Write};
use std::path::PathBuf;
use stepup_contract::{Contract, Finding, Severity};

/// Examine a contract.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The contract as JSON, or a compiled program; `-` reads JSON from standard input.
    #[arg(value_name = "CONTRACT")]
    contract: PathBuf,
    /// Ask the issuer whether it can satisfy the contract.
    #[command(flatten)]
    issuer: IssuerArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let contract = contract(&arguments.contract)?;
    let findings = match &arguments.issuer.issuer {
        Some(_) => ask_issuer(&arguments.issuer, &contract)?,
        None => Vec::new(),
    };
    let mut out = io::stdout().lock();
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    let count = |severity| findings.iter().filter(|found| found.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let summary = format!(
        "{}, {}, {}",
        counted(contract.endpoints().len(), "endpoint"),
        counted(errors, "error"),
        counted(warnings, "warning")
    );
    if errors > 0 {
        return Err(Failure::Found(summary));
    }
    eprintln!("{summary}");
    Ok(())
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn ask_issuer(issuer: &IssuerArguments, contract: &Contract) -> Result<Vec<Finding>, Failure> {
    let issuer = issuer.to_examine()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(issuer.check(contract))?)
}
