//! The one test line that holds the committed contract against the program.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs, panic};
use stepup_runtime::testing::assert_contract_current;
use stepup_tests::command::{cargo, run, stepup, target};

/// A program, the contract that it carries, and a folder to commit it in.
fn program() -> (PathBuf, String, tempfile::TempDir) {
    cargo(&["build", "--quiet", "--package", "quickstart"]);
    let program = target().join("debug/quickstart");
    let exported = run(stepup(), &["export", program.to_str().expect("text")]).stdout;
    (program, String::from_utf8(exported).expect("UTF-8"), tempfile::tempdir().expect("a folder"))
}

#[test]
fn a_current_contract_passes_whatever_the_version() {
    let (program, contract, folder) = program();
    let committed = folder.path().join("contract.json");
    fs::write(&committed, &contract).expect("written");
    assert_contract_current(&program, &committed);
    fs::write(&committed, contract.replace("\"0.1.0\"", "\"9.9.9\"")).expect("written");
    assert_contract_current(&program, &committed);
}

#[test]
fn what_differs_is_told_with_its_axis_and_what_to_do() {
    let (program, contract, folder) = program();
    let committed = folder.path().join("contract.json");
    for (old, new, says) in [
        (
            "\"max-age\": 300",
            "\"max-age\": 60",
            "weakened: POST /approve-transaction\n    max-age weakened: 60 → 300",
        ),
        (
            "\"max-age\": 300",
            "\"max-age\": 900",
            "tightened: POST /approve-transaction\n    max-age tightened: 900 → 300",
        ),
        (
            "/user-profile",
            "/gone",
            "weakened: GET /gone\n    is gone from the contract; its handler",
        ),
        ("\"service\": \"quickstart\"", "\"service\": \"other\"", "service, base or wording"),
        ("{", "{ ,", "contract.json: not a contract: key must be a string at line 1"),
    ] {
        let changed = contract.replacen(old, new, 1);
        assert_ne!(changed, contract, "{old}");
        fs::write(&committed, changed).expect("written");
        let failed = panic::catch_unwind(|| assert_contract_current(&program, &committed));
        let failed = failed.expect_err("it differs");
        let message = failed.downcast_ref::<String>().expect("a message");
        assert!(message.contains(says), "{says}: {message}");
    }
    let missing = folder.path().join("none.json");
    let failed = panic::catch_unwind(|| assert_contract_current(&program, &missing));
    let failed = failed.expect_err("there is none");
    let message = failed.downcast_ref::<String>().expect("a message");
    assert!(message.contains("STEPUP_UPDATE=1"), "{message}");
}

#[test]
fn a_crate_that_is_no_longer_linked_is_missed() {
    let folder = tempfile::tempdir().expect("a folder");
    let built = |name: &str, flags: &[&str]| {
        cargo(&[&["rustc", "--quiet", "--package", "linked-app", "--"], flags].concat());
        let program = folder.path().join(name);
        fs::copy(target().join("debug/linked-app"), &program).expect("copied");
        program
    };
    // The crate stays a dependency; that it is not named any more is enough for the linker to drop it.
    let without = built("without", &["--cfg", "without_extern"]);
    let whole = built("whole", &[]);
    let committed = folder.path().join("contract.json");
    let exported = run(stepup(), &["export", whole.to_str().expect("text")]);
    fs::write(&committed, exported.stdout).expect("written");
    assert_contract_current(&whole, &committed);
    let failed = panic::catch_unwind(|| assert_contract_current(&without, &committed));
    let failed = failed.expect_err("endpoints are gone");
    let message = failed.downcast_ref::<String>().expect("a message");
    let gone = message.lines().filter(|line| line.contains("is gone from the contract"));
    assert!(gone.count() > 0 && message.contains("weakened: "), "{message}");
}

/// Runs itself again in a process of its own, since the variable holds for the whole of one.
#[test]
fn with_the_variable_the_file_is_written() {
    let (program, contract, folder) = program();
    if let Ok(committed) = env::var("COMMITTED") {
        return assert_contract_current(program, committed);
    }
    let committed = folder.path().join("contract.json");
    let output = Command::new(env::current_exe().expect("a path"))
        .args(["--exact", "with_the_variable_the_file_is_written"])
        .env("COMMITTED", &committed)
        .env("STEPUP_UPDATE", "1")
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::read_to_string(&committed).expect("written"), contract);
}
