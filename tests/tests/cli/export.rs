//! `stepup export` on real programs. Every build profile exports the same bytes, equal to the contract
//! that the running program prints. Files that are not programs are refused.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Mutex, PoisonError};
use std::{env, fs};
use stepup_tests::command::{cargo, run, stepup, target, workspace};

fn export(file: &Path) -> Output {
    run(stepup(), &["export", file.to_str().expect("a UTF-8 path")])
}

/// The contract of the program in `tests/fixtures/linked-app`, which is the same in every build.
fn expected() -> Vec<u8> {
    let text = fs::read_to_string(workspace().join("tests/fixtures/linked.json"));
    text.expect("the fixture").into_bytes()
}

#[track_caller]
fn assert_exports_what_it_prints(program: &Path) {
    let printed = run(program, &[]);
    assert!(printed.status.success(), "{printed:?}");
    let exported = export(program);
    assert!(exported.status.success(), "{exported:?}");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(text(&exported.stdout), text(&printed.stdout), "{}", program.display());
    assert_eq!(text(&exported.stdout), text(&expected()), "{}", program.display());
}

/// A copy of `linked-app` from a debug build with these compiler flags, in a temporary folder.
fn debug_program(flags: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let _one_at_a_time = BUILD.lock().unwrap_or_else(PoisonError::into_inner);
    cargo(&[&["rustc", "--quiet", "--package", "linked-app", "--"], flags].concat());
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("linked-app");
    fs::copy(target().join("debug/linked-app"), &program).expect("copied");
    (folder, program)
}

/// Locked while `linked-app` is built in the debug profile, because all these builds write to the same file.
static BUILD: Mutex<()> = Mutex::new(());

#[test]
fn a_debug_program_exports_what_it_prints() {
    assert_exports_what_it_prints(&debug_program(&[]).1);
}

#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[ignore = "needs bfd and gold; run tests/run"]
fn every_linker_keeps_every_record() {
    // First bfd, then gold. The default linker is lld.
    for linker in
        [&["-Clinker-features=-lld"][..], &["-Clinker-features=-lld", "-Clink-arg=-fuse-ld=gold"]]
    {
        let (_folder, program) = debug_program(linker);
        assert_exports_what_it_prints(&program);
    }
}

#[test]
#[ignore = "builds everything in three more profiles, which takes minutes; run tests/run"]
fn every_profile_exports_the_same_bytes() {
    for profile in ["release", "export-lto", "export-small"] {
        cargo(&["build", "--quiet", "--package", "linked-app", "--profile", profile]);
        assert_exports_what_it_prints(&target().join(profile).join("linked-app"));
    }
}

#[test]
fn export_builds_the_package_first() {
    let _one_at_a_time = BUILD.lock().unwrap_or_else(PoisonError::into_inner);
    let exported = run(stepup(), &["export", "--package", "linked-app"]);
    assert!(exported.status.success(), "{exported:?}");
    assert_eq!(exported.stdout, expected());
    let exported = run(stepup(), &["export", "--package", "linked-app", "--bin", "linked-app"]);
    assert_eq!(exported.stdout, expected());
}

#[test]
fn bad_usage_and_unreadable_files_exit_with_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let odd = folder.path().join("odd");
    fs::write(&odd, b"\x7fELF but not really").expect("written");
    let library = env!("CARGO_MANIFEST_DIR").to_owned() + "/Cargo.toml";
    for arguments in [
        &["export"][..],
        &["export", "does/not/exist"],
        &["export", odd.to_str().expect("text")],
        &["export", &library],
        &["export", "--bin", "x"],
        &["export", "x", "--package", "y"],
        &["export", "--package", "stepup-contract"],
        &["export", "--package", "no-such-package"],
        &["exprot"],
    ] {
        let output = run(stepup(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn a_contract_with_errors_exits_with_1_and_lists_every_error() {
    // This test program contains handlers without a route.
    let output = export(&env::current_exe().expect("a path"));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    for handler in ["cli::export::first_routeless", "cli::export::second_routeless"] {
        assert!(text.contains(&format!("the handler {handler} has no route")), "{text}");
    }
    // The third handler without a route is in `check.rs`.
    assert_eq!(text.lines().count(), 3, "{text}");
}

#[stepup_runtime::step_up(methods = ["mfa"])]
#[expect(dead_code, reason = "it is linked, which is all that counts")]
async fn first_routeless() {}

#[stepup_runtime::step_up(methods = ["mfa"])]
#[expect(dead_code, reason = "it is linked, which is all that counts")]
async fn second_routeless() {}

/// Two incompatible versions of the runtime in one program keep separate records. The program starts
/// without a panic, and the export reports the conflict.
#[test]
#[ignore = "builds a second copy of the runtime; run tests/run"]
fn export_reports_two_incompatible_versions_in_a_program_that_starts() {
    let folder = target().join("two-versions");
    let _ = fs::remove_dir_all(folder.join("crates"));
    for (version, slice, minor) in [("0.1.0", "0_1", "v1"), ("0.2.0", "0_2", "v2")] {
        for package in ["stepup-contract", "stepup-macros", "stepup-runtime"] {
            let to = folder.join("crates").join(minor).join(package);
            copy(&workspace().join(package).join("src"), &to.join("src"), slice);
            let manifest = fs::read_to_string(workspace().join(package).join("Cargo.toml"));
            let manifest = manifest.expect("a manifest");
            let manifest = manifest.split("[dev-dependencies]").next().expect("a part");
            let manifest = manifest
                .replace("\nversion.workspace = true", &format!("\nversion = {version:?}"))
                .replace("\nrepository.workspace = true\nreadme.workspace = true", "");
            fs::write(to.join("Cargo.toml"), manifest).expect("written");
        }
        let root = fs::read_to_string(workspace().join("Cargo.toml")).expect("a manifest");
        let from = root.find("[workspace.dependencies]").expect("dependencies");
        let to = root.find("[workspace.lints").expect("lints");
        let root = format!(
            "[workspace]\nresolver = \"3\"\nmembers = [\"*\"]\n[workspace.package]\n\
             edition = \"2024\"\nrust-version = \"1.95\"\nlicense = \"MIT\"\n{}",
            root[from..to].replace("version = \"0.1.0\"", &format!("version = {version:?}"))
        );
        fs::write(folder.join("crates").join(minor).join("Cargo.toml"), root).expect("written");
    }
    let write = |path: &str, text: &str| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    };
    let _ = fs::copy(workspace().join("Cargo.lock"), folder.join("Cargo.lock"));
    write(
        "Cargo.toml",
        "[package]\nname = \"two\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\n\
         one = { package = \"stepup-runtime\", path = \"crates/v1/stepup-runtime\" }\n\
         two = { package = \"stepup-runtime\", path = \"crates/v2/stepup-runtime\" }\n[workspace]\n\
         exclude = [\"crates\"]\n",
    );
    write(
        "src/main.rs",
        "#[one::step_up(get = \"/one\", max_age = 1, crate = \"one\")]\nasync fn a() {}\n\
         #[two::step_up(get = \"/two\", max_age = 2, crate = \"two\")]\nasync fn b() {}\n\
         fn main() {\n    let _ = (a, b);\n\
         print!(\"{}{}\", one::Contract::collect().unwrap().to_json(),\n\
         two::Contract::collect().unwrap().to_json());\n}\n",
    );
    let manifest = folder.join("Cargo.toml");
    let manifest = manifest.to_str().expect("text");
    cargo(&[
        "build",
        "--quiet",
        "--manifest-path",
        manifest,
        "--target-dir",
        target().to_str().expect("text"),
    ]);
    let program = target().join("debug/two");
    let printed = run(&program, &[]);
    assert!(printed.status.success(), "{printed:?}");
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    assert!(printed.contains("two::a") && printed.contains("two::b"), "{printed}");
    assert_eq!(
        printed.matches("\"contract\": 1").count(),
        2,
        "each version prints its own contract: {printed}"
    );
    let output = export(&program);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        text.contains("two incompatible versions of stepup-runtime are linked (0.1, 0.2)"),
        "{text}"
    );
}

/// Copies source files and renames the record slice after the version.
fn copy(from: &Path, to: &Path, slice: &str) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to, slice);
        } else {
            let text = fs::read_to_string(&path).expect("a source");
            let text = text.replace("STEPUP_RECORDS_0_1", &format!("STEPUP_RECORDS_{slice}"));
            fs::write(to, text).expect("written");
        }
    }
}

/// Programs for several operating systems, linked by rust-lld. `tests/fixtures/formats/link` creates them.
const FORMATS: [&str; 4] = ["windows.exe", "apple-arm64", "apple-x86_64", "linux"];

#[track_caller]
fn assert_formats(folder: &Path) {
    for program in FORMATS {
        let output = export(&folder.join(program));
        assert!(output.status.success(), "{program}: {output:?}");
        assert_eq!(output.stdout, expected(), "{program}");
    }
}

#[test]
fn windows_and_apple_programs_export_the_same_contract() {
    assert_formats(&workspace().join("tests/fixtures/formats"));
}

#[test]
#[ignore = "needs a nightly compiler and objcopy; run tests/run"]
fn newly_linked_windows_and_apple_programs_export_the_same_contract() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = workspace().join("tests/fixtures/formats/link");
    let output = run(&script, &[folder.path().to_str().expect("text")]);
    assert!(output.status.success(), "{output:?}");
    assert_formats(folder.path());
}

#[test]
fn a_universal_apple_program_is_exported_only_if_its_parts_agree() {
    let formats = workspace().join("tests/fixtures/formats");
    let part = |name: &str| fs::read(formats.join(name)).expect("the fixture");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("universal");

    fs::write(&file, universal(&[part("apple-arm64"), part("apple-x86_64")])).expect("written");
    assert_eq!(export(&file).stdout, expected());

    let mut changed = part("apple-x86_64");
    let name = b"linked_app::transfer";
    let at = changed.windows(name.len()).position(|bytes| bytes == name).expect("the name");
    changed[at] = b'L';
    fs::write(&file, universal(&[part("apple-arm64"), changed])).expect("written");
    let output = export(&file);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("contracts differ"), "{output:?}");
}

/// A universal Mach-O file with these programs: a header, then each program at the start of a page.
fn universal(parts: &[Vec<u8>]) -> Vec<u8> {
    const PAGE: usize = 0x4000;
    let number = |value: usize| u32::try_from(value).expect("a small file").to_be_bytes();
    let mut header = [0xcafe_babe_u32.to_be_bytes(), number(parts.len())].concat();
    let mut body = Vec::new();
    for part in parts {
        let offset = PAGE + body.len();
        // The CPU type and subtype come from the header of the part, which is little-endian.
        header.extend([part[7], part[6], part[5], part[4], part[11], part[10], part[9], part[8]]);
        header.extend([number(offset), number(part.len()), number(14)].concat());
        body.extend_from_slice(part);
        body.resize(body.len().next_multiple_of(PAGE), 0);
    }
    header.resize(PAGE, 0);
    header.extend(body);
    header
}
