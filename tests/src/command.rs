//! Builds and runs the programs of the workspace.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The folder of the workspace.
///
/// # Panics
/// Never, because this package is in the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

/// Runs cargo in the folder of the workspace.
///
/// # Panics
/// If cargo fails.
pub fn cargo(arguments: &[&str]) {
    let status = Command::new(env!("CARGO")).args(arguments).current_dir(workspace()).status();
    assert!(status.expect("cargo runs").success(), "cargo {arguments:?}");
}

/// The folder that cargo builds into.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// The built `stepup` command.
///
/// # Panics
/// If it cannot be built.
pub fn stepup() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        cargo(&["build", "--quiet", "--package", "stepup-cli"]);
        target().join("debug/stepup")
    })
}

/// Runs a program in the workspace's folder.
///
/// # Panics
/// If the program does not start.
pub fn run(program: &Path, arguments: &[&str]) -> Output {
    run_in(workspace(), program, arguments)
}

/// Runs a program in this folder.
///
/// # Panics
/// If the program does not start.
pub fn run_in(folder: &Path, program: &Path, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    output.unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}
