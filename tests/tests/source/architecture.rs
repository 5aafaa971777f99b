//! The folders of each crate use only folders below them, in the order of ARCHITECTURE.md; and only one folder names
//! axum.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use stepup_tests::command::workspace;

/// The crates with the folders and files of their source, top to bottom.
fn layers() -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(workspace().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let (_, table) = text.split_once("| crate | folders and files").expect("the table of folders");
    let quoted =
        |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').collect();
        (quoted(cells[1]).remove(0), quoted(cells[2]))
    })
    .collect()
}

/// The Rust files in a folder.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files
}

/// The code of a file without comments and without its unit tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source file");
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The modules that come directly after `crate::` in this code, in paths and in `use` lists.
fn modules_used(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        // `$crate::` and `other_crate::` are other names.
        if code[..at].ends_with(|c: char| c == '$' || c == '_' || c.is_alphanumeric()) {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        let list = match rest.strip_prefix('{') {
            Some(list) => list.split_once(';').map_or(list, |(list, _)| list),
            None => {
                rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default()
            }
        };
        let mut depth = 0;
        for item in list.split_inclusive([',', '{', '}']) {
            let name = item.trim().split([':', ',', '{', '}', ' ']).next().unwrap_or_default();
            if depth == 0 && !name.is_empty() {
                used.insert(name.to_owned());
            }
            depth += i32::from(item.ends_with('{')) - i32::from(item.ends_with('}'));
        }
    }
    used
}

#[test]
fn folders_use_only_folders_below_them() {
    let layers = layers();
    assert_eq!(layers.len(), 4, "one row per crate");
    let (mut violations, mut dependencies) = (Vec::new(), 0);
    for (krate, folders) in layers {
        let source = workspace().join(&krate).join("src");
        let layer = |name: &str| folders.iter().position(|folder| folder == name);
        for path in rust_files(&source) {
            let inside = path.strip_prefix(&source).expect("a path in the crate");
            let top = inside.iter().next().and_then(|name| name.to_str()).expect("a name");
            let own = top.trim_end_matches(".rs");
            if own == "lib" || own == "main" {
                continue;
            }
            let Some(own_layer) = layer(own) else {
                violations.push(format!("{krate}: {own} is not in ARCHITECTURE.md"));
                continue;
            };
            for used in modules_used(&code(&path)) {
                let Some(used_layer) = layer(&used) else { continue };
                dependencies += 1;
                if used_layer < own_layer {
                    let file = inside.display();
                    violations.push(format!("{krate}: {file} uses {used}, which is above {own}"));
                }
            }
        }
    }
    assert!(dependencies > 100, "only {dependencies} dependencies were found");
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn the_parser_finds_paths_and_lists() {
    let code = "use crate::jose::jwk;\nuse crate::{token::{cache, claims}, request::head};\n\
                fn f() { crate::support::g(); $crate::macros(); }";
    let expected = ["jose", "request", "support", "token"].map(str::to_owned);
    assert_eq!(modules_used(code), BTreeSet::from(expected));
}

#[test]
fn only_the_axum_folder_of_the_runtime_names_axum() {
    let source = workspace().join("stepup-runtime/src");
    let adapter = source.join("axum");
    let named = |path: &PathBuf| {
        let code = code(path);
        let words =
            code.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':' || c == '"'));
        words.into_iter().any(|word| word.starts_with("axum::") || word.starts_with("::axum::"))
    };
    let outside = rust_files(&source).into_iter().filter(|path| !path.starts_with(&adapter));
    let found: Vec<_> = outside.filter(named).collect();
    assert!(found.is_empty(), "{found:?}");
    assert!(rust_files(&adapter).iter().any(named), "the folder itself names axum");
}
