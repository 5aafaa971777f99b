//! The contract that is committed beside the code, held against the program.

use std::path::Path;
use std::{env, fs};
use stepup_contract::{Change, Contract, compare, program};

/// Set to `1`, this variable lets the file be written instead of compared.
const UPDATE: &str = "STEPUP_UPDATE";

/// Asserts that the contract in this file is the one that the compiled program carries. In one test:
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
/// The program is read, not run: a test has other handlers linked than the program has. A dependency
/// whose endpoints vanished from the link is seen, too. The service's version does not count. With
/// `STEPUP_UPDATE=1` in the environment the file is written.
///
/// # Panics
/// When they differ, with what changed; and when one of them cannot be read.
#[expect(clippy::panic, reason = "an assertion")]
#[track_caller]
pub fn assert_contract_current(program: impl AsRef<Path>, committed: impl AsRef<Path>) {
    let (program, committed) = (program.as_ref(), committed.as_ref());
    if let Err(why) = current(program, committed, env::var(UPDATE).is_ok_and(|set| set == "1")) {
        panic!("{why}");
    }
}

fn current(program: &Path, committed: &Path, update: bool) -> Result<(), String> {
    let file = committed.display();
    let now = carried(program)?;
    if update {
        return fs::write(committed, now.to_json())
            .map_err(|why| format!("{file} could not be written: {why}"));
    }
    let again = format!("run the test again with {UPDATE}=1, look at the change, and commit it");
    let text = fs::read(committed)
        .map_err(|why| format!("{file} could not be read: {why}; if there is none yet, {again}"))?;
    let then = Contract::parse(&text).map_err(|errors| format!("{file}: {errors}"))?;
    if without_version(&then) == without_version(&now) {
        return Ok(());
    }
    let said = match compare(&then, &now) {
        Err(why) => format!("  {why}"),
        Ok(changes) if changes.is_empty() => "  service, base or wording".to_owned(),
        Ok(changes) => changes.iter().map(line).collect::<Vec<_>>().join("\n"),
    };
    Err(format!("{file} is not the contract of {}; {again}:\n{said}", program.display()))
}

fn carried(program: &Path) -> Result<Contract, String> {
    let file = program.display();
    let data = fs::read(program).map_err(|why| format!("{file} could not be read: {why}"))?;
    let section = program::section(&data).map_err(|why| format!("{file} {why}"))?;
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
