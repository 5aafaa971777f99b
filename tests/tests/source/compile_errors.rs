//! The compile errors of the macros, and the programs that they must accept.
//!
//! Each program in `ui/fail` must fail with exactly the messages and spans of its `.stderr` file. Each program in
//! `ui/pass` must compile and run. The tests call rustc directly, with the libraries that cargo has
//! built for the other tests. A line `//@ NAME=value` sets a variable that cargo would set. `STEPUP_UPDATE=1` writes the
//! `.stderr` files.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::{env, fs, thread};
use stepup_tests::command::workspace;

/// The libraries that a program may use.
struct Libraries {
    /// The library file of each crate.
    files: BTreeMap<String, PathBuf>,
    /// Where rustc writes its output.
    output: tempfile::TempDir,
}

impl Libraries {
    /// Asks cargo for the libraries of the test build, and builds them if they are missing.
    fn built() -> Self {
        let arguments = ["test", "--workspace", "--no-run", "--quiet", "--message-format=json"];
        let output = Command::new(env!("CARGO")).args(arguments).current_dir(workspace()).output();
        let output = output.expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut files = BTreeMap::new();
        for line in output.stdout.split(|byte| *byte == b'\n') {
            let Ok(message) = serde_json::from_slice::<Value>(line) else { continue };
            let name = message["target"]["name"].as_str().unwrap_or_default();
            // A crate's own unit tests are an artifact, too.
            if !["axum", "stepup_runtime"].contains(&name) || message["profile"]["test"] == true {
                continue;
            }
            let paths = message["filenames"].as_array().into_iter().flatten();
            let library = paths.filter_map(Value::as_str).find(|path| path.ends_with(".rlib"));
            files.extend(library.map(|library| (name.to_owned(), PathBuf::from(library))));
        }
        assert_eq!(files.len(), 2, "axum and stepup_runtime are built: {files:?}");
        Self { files, output: tempfile::tempdir().expect("a folder") }
    }

    /// A call of rustc on this program, in the folder of this package.
    fn rustc(&self, program: &Path) -> Command {
        let name = program.file_stem().and_then(|name| name.to_str()).expect("a file name");
        let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        rustc.current_dir(env!("CARGO_MANIFEST_DIR"));
        // `service!` reads the package's name and version.
        rustc.env("CARGO_PKG_NAME", "program").env("CARGO_PKG_VERSION", "0.0.0");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(program);
        let source = fs::read_to_string(source).expect("the program");
        let variables =
            source.lines().filter_map(|line| line.strip_prefix("//@ ")?.split_once('='));
        rustc.envs(variables);
        rustc.args([
            "--edition=2024",
            "--crate-type=bin",
            "--color=never",
            "--diagnostic-width=140",
        ]);
        rustc.arg(format!("--crate-name={name}")).arg("--out-dir").arg(self.output.path());
        for (name, file) in &self.files {
            let folder = file.parent().expect("a folder");
            rustc.arg("--extern").arg(format!("{name}={}", file.display()));
            rustc.arg("-L").arg(format!("dependency={}", folder.display()));
        }
        rustc.arg(program);
        rustc
    }
}

/// The programs in a folder, relative to this package.
fn programs(folder: &str) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let paths = names.map(|name| Path::new(folder).join(name));
    let mut programs: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|ending| ending == "rs")).collect();
    programs.sort();
    programs
}

/// Runs a check on each program, on all cores, and fails with the messages of all failed checks.
fn check_all(folder: &str, check: impl Fn(&Libraries, &Path) -> Result<(), String> + Sync) {
    let libraries = Libraries::built();
    let (remaining, failures) = (Mutex::new(programs(folder)), Mutex::new(Vec::new()));
    assert!(!remaining.lock().expect("no panic").is_empty(), "{folder} contains programs");
    let next = || remaining.lock().expect("no panic").pop();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, |cores| cores.get()) {
            scope.spawn(|| {
                while let Some(program) = next() {
                    if let Err(failure) = check(&libraries, &program) {
                        let failure = format!("{}: {failure}", program.display());
                        failures.lock().expect("no panic").push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no panic");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// The messages without rustc's summary, and without line numbers in files of other crates.
fn normalized(messages: &str) -> String {
    let summaries = ["error: aborting due to", "For more information about", "Some errors have"];
    let mut lines = Vec::new();
    for line in messages.lines() {
        if summaries.iter().any(|summary| line.starts_with(summary)) {
            continue;
        }
        let line = line.trim_end();
        match line.split_once("--> ") {
            Some((indent, place)) if !place.starts_with("ui/") => {
                let file = place.split(".rs:").next().unwrap_or_default();
                let file = file.strip_prefix(workspace().to_str().expect("text")).unwrap_or(file);
                lines.push(format!("{indent}--> {}.rs", file.trim_start_matches('/')));
            }
            _ => lines.push(line.to_owned()),
        }
    }
    lines.join("\n").trim().to_owned() + "\n"
}

#[test]
fn each_mistake_is_a_compile_error_at_its_token() {
    let update = env::var_os("STEPUP_UPDATE").is_some();
    check_all("ui/fail", |libraries, program| {
        let output = libraries.rustc(program).arg("--emit=metadata").output().expect("rustc runs");
        if output.status.success() {
            return Err("the program compiles".into());
        }
        let messages = normalized(&String::from_utf8_lossy(&output.stderr));
        let snapshot = Path::new(env!("CARGO_MANIFEST_DIR")).join(program).with_extension("stderr");
        if update {
            fs::write(&snapshot, messages).expect("written");
            return Ok(());
        }
        let expected = fs::read_to_string(&snapshot).unwrap_or_default();
        match messages == expected {
            true => Ok(()),
            false => Err(format!("expected:\n{expected}\nfound:\n{messages}")),
        }
    });
}

#[test]
fn valid_programs_compile_and_run() {
    check_all("ui/pass", |libraries, program| {
        let compiled = libraries.rustc(program).output().expect("rustc runs");
        let messages = String::from_utf8_lossy(&compiled.stderr);
        if !compiled.status.success() {
            return Err(messages.into_owned());
        }
        let name = program.file_stem().expect("a file name");
        let output = Command::new(libraries.output.path().join(name)).output();
        let output = output.expect("the program starts");
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    });
}
