//! `stepup export`: from the program's link section to the canonical JSON.

use crate::contract_file::binary::section;
use crate::contract_file::build::{Target, program};
use crate::report::failure::{Failure, Located};
use crate::report::output::print;
use std::path::PathBuf;
use stepup_contract::Contract;

/// Print the contract of a compiled program.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("program").required(true).args(["file", "package"])))]
pub(crate) struct Arguments {
    /// The compiled program: an ELF, Mach-O or PE file.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = match (&arguments.file, &arguments.target.package) {
        (Some(file), _) => file.clone(),
        (None, Some(package)) => program(package, &arguments.target)?,
        // clap requires one of them.
        (None, None) => PathBuf::new(),
    };
    let section = section(&path)?;
    let contract = Contract::from_section(&section).map_err(|errors| {
        let errors = errors.iter().map(|error| Located { line: None, error: error.clone() });
        Failure::Contract { path, errors: errors.collect() }
    })?;
    print(&contract.to_json())?;
    Ok(())
}
