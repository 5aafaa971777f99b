//! Compares the committed contract with the one in the compiled program.

use std::path::Path;
use std::{env, fs};
use stepup_contract::{Change, Contract, compare, object_file};

/// If this variable is `1`, the file is written instead of compared.
const UPDATE: &str = "STEPUP_UPDATE";

/// Asserts that the contract in this file is the one in the compiled program. In one test:
///
/// ```no_run
/// # macro_rules! program { () => { "target/debug/bank" } }
/// #[test]
/// fn the_committed_contract_is_current() {
///     // In your crate: env!("CARGO_BIN_EXE_bank")
///     stepup_runtime::testing::assert_contract_current(program!(), "contract.json");
/// }
/// ```
///
/// The program is read, not run, because a test links other handlers than the program does. The test also fails if the
/// linker has dropped a dependency's endpoints. The service's version is ignored. With `STEPUP_UPDATE=1` in the
/// environment, the file is written.
///
/// # Panics
/// If the contracts differ, with the changes; or if one of them cannot be read.
#[expect(clippy::panic, reason = "an assertion")]
#[track_caller]
pub fn assert_contract_current(program: impl AsRef<Path>, committed: impl AsRef<Path>) {
    let (program, committed) = (program.as_ref(), committed.as_ref());
    if let Err(reason) = check(program, committed, env::var(UPDATE).is_ok_and(|set| set == "1")) {
        panic!("{reason}");
    }
}

fn check(program: &Path, committed: &Path, update: bool) -> Result<(), String> {
    let file = committed.display();
    let current = linked_contract(program)?;
    if update {
        return fs::write(committed, current.to_json())
            .map_err(|error| format!("{file} could not be written: {error}"));
    }
    let fix = format!("run the test again with {UPDATE}=1, review the change, and commit the file");
    let text = fs::read(committed).map_err(|error| {
        format!("{file} could not be read: {error}; if the file is missing, {fix}")
    })?;
    let committed = Contract::parse(&text).map_err(|errors| format!("{file}: {errors}"))?;
    if without_version(&committed) == without_version(&current) {
        return Ok(());
    }
    let changes = match compare(&committed, &current) {
        Err(error) => format!("  {error}"),
        Ok(changes) if changes.is_empty() => "  service, base or wording".to_owned(),
        Ok(changes) => changes.iter().map(line).collect::<Vec<_>>().join("\n"),
    };
    Err(format!("{file} is not the contract of {}; {fix}:\n{changes}", program.display()))
}

fn linked_contract(program: &Path) -> Result<Contract, String> {
    let file = program.display();
    let data = fs::read(program).map_err(|error| format!("{file} could not be read: {error}"))?;
    let section = object_file::section(&data).map_err(|error| format!("{file} {error}"))?;
    Contract::from_section(&section).map_err(|errors| format!("{file}: {errors}"))
}

/// The canonical text with an empty version.
fn without_version(contract: &Contract) -> String {
    let version = |text: &str| format!("\n  \"version\": {},", serde_json::Value::from(text));
    contract.to_json().replacen(&version(contract.version()), &version(""), 1)
}

fn line(change: &Change) -> String {
    let (axis, subject) = (change.axis().as_str(), change.subject());
    let sentences = change.sentences().into_iter().map(|sentence| format!("\n    {sentence}"));
    format!("  {axis}: {subject}{}", sentences.collect::<String>())
}
