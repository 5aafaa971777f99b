//! `assert_contract_current`, which compares the committed contract with the contract in the program.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs, panic};
use stepup_runtime::testing::assert_contract_current;
use stepup_tests::command::{cargo, run, stepup, target};

/// A built program, the contract that `stepup export` reads from it, and an empty folder.
fn program() -> (PathBuf, String, tempfile::TempDir) {
    cargo(&["build", "--quiet", "--package", "quickstart"]);
    let program = target().join("debug/quickstart");
    let exported = run(stepup(), &["export", program.to_str().expect("text")]).stdout;
    (program, String::from_utf8(exported).expect("UTF-8"), tempfile::tempdir().expect("a folder"))
}

#[test]
fn a_current_contract_passes_even_if_its_version_differs() {
    let (program, contract, folder) = program();
    let committed = folder.path().join("contract.json");
    fs::write(&committed, &contract).expect("written");
    assert_contract_current(&program, &committed);
    fs::write(&committed, contract.replace("\"0.1.0\"", "\"9.9.9\"")).expect("written");
    assert_contract_current(&program, &committed);
}

#[test]
fn a_difference_is_reported_with_its_axis_and_the_fix() {
    let (program, contract, folder) = program();
    let committed = folder.path().join("contract.json");
    for (old, new, expected) in [
        (
            "\"max-age\": 300",
            "\"max-age\": 60",
            "weakened: POST /approve-transaction\n    max-age weakened: 1 min → 5 min",
        ),
        (
            "\"max-age\": 300",
            "\"max-age\": 900",
            "tightened: POST /approve-transaction\n    max-age tightened: 15 min → 5 min",
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
        let failed = failed.expect_err("the contracts differ");
        let message = failed.downcast_ref::<String>().expect("a message");
        assert!(message.contains(expected), "{expected}: {message}");
    }
    let missing = folder.path().join("none.json");
    let failed = panic::catch_unwind(|| assert_contract_current(&program, &missing));
    let failed = failed.expect_err("the file is missing");
    let message = failed.downcast_ref::<String>().expect("a message");
    assert!(message.contains("STEPUP_UPDATE=1"), "{message}");
}

#[test]
fn the_endpoints_of_a_crate_that_is_no_longer_linked_are_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    let build = |name: &str, flags: &[&str]| {
        cargo(&[&["rustc", "--quiet", "--package", "linked-app", "--"], flags].concat());
        let program = folder.path().join(name);
        fs::copy(target().join("debug/linked-app"), &program).expect("copied");
        program
    };
    // The crate remains a dependency. The linker drops it because no code refers to it.
    let without = build("without", &["--cfg", "without_extern"]);
    let complete = build("complete", &[]);
    let committed = folder.path().join("contract.json");
    let exported = run(stepup(), &["export", complete.to_str().expect("text")]);
    fs::write(&committed, exported.stdout).expect("written");
    assert_contract_current(&complete, &committed);
    let failed = panic::catch_unwind(|| assert_contract_current(&without, &committed));
    let failed = failed.expect_err("endpoints are gone");
    let message = failed.downcast_ref::<String>().expect("a message");
    let gone = message.lines().filter(|line| line.contains("is gone from the contract"));
    assert!(gone.count() > 0 && message.contains("weakened: "), "{message}");
}

/// Runs itself again in a child process, because an environment variable applies to the whole process.
#[test]
fn stepup_update_writes_the_contract_file() {
    let (program, contract, folder) = program();
    if let Ok(committed) = env::var("COMMITTED") {
        return assert_contract_current(program, committed);
    }
    let committed = folder.path().join("contract.json");
    let output = Command::new(env::current_exe().expect("a path"))
        .args(["--exact", "assert_contract_current::stepup_update_writes_the_contract_file"])
        .env("COMMITTED", &committed)
        .env("STEPUP_UPDATE", "1")
        .output()
        .expect("the test runs");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::read_to_string(&committed).expect("written"), contract);
}
