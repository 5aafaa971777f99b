//! `stepup diff`: what it says of a change, in each form, and how it exits.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use serde_json::{Value, json};
use std::fs;
use std::process::Output;
use stepup_contract::{Contract, compare};
use stepup_tests::command::{cargo, run, stepup, target};
use stepup_tests::contracts::{contract, endpoint};

/// Runs the command on two contracts.
fn diff(old: &Contract, new: &Contract, arguments: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = [("old.json", old), ("new.json", new)].map(|(name, contract)| {
        let path = folder.path().join(name);
        fs::write(&path, contract.to_json()).expect("written");
        path.to_str().expect("text").to_owned()
    });
    let arguments = [&["diff", &paths[0], &paths[1]], arguments].concat();
    said(run(stepup(), &arguments))
}

fn said(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("a code"), text(output.stdout), text(output.stderr))
}

#[test]
fn the_command_says_what_changed_in_each_form_and_exits_with_it() {
    let of = |age: u32| {
        let security = json!({"step-up": true, "methods": ["mfa"], "max-age": age});
        contract("deny", &[endpoint("POST", "/pay", &security)])
    };
    let (code, out, err) = diff(&of(300), &of(600), &[]);
    let print = compare(&of(300), &of(600)).expect("compared")[0].fingerprint();
    assert_eq!(code, 1);
    assert_eq!(out, format!("weakened: POST /pay [{print}]\n  max-age weakened: 300 → 600\n"));
    assert_eq!(err, "1 weakened, 0 tightened, 0 neutral\n");
    let (code, out, err) = diff(&of(600), &of(300), &[]);
    assert_eq!((code, err.as_str()), (0, "0 weakened, 1 tightened, 0 neutral\n"), "{out}");
    assert_eq!(diff(&of(600), &of(300), &["--deny", "tightened"]).0, 1);
    assert_eq!(
        diff(&of(300), &of(300), &["--deny", "tightened"]),
        (0, String::new(), { "0 weakened, 0 tightened, 0 neutral\n".into() })
    );

    let (_, out, _) = diff(&of(300), &of(600), &["--output", "json"]);
    let document: Value = serde_json::from_str(&out).expect("JSON");
    let change = &document["changes"][0];
    assert_eq!((&change["axis"], &change["weakened"]), (&json!("weakened"), &json!(["max-age"])));
    assert_eq!(change["new"]["security"]["max-age"], 600);
    assert_eq!((&change["in"], &change["line"]), (&json!("new"), &json!(16)));
    assert_eq!(change["pointer"], "/endpoints/0/security/max-age");
    assert_eq!(document["old"]["digest"], of(300).digest());
    let (_, out, _) = diff(&of(300), &of(600), &["--output", "markdown"]);
    assert!(
        out.contains(&format!(
            "| **weakened** | `POST /pay` | max-age weakened: 300 → 600 | `{print}` |"
        )),
        "{out}"
    );
    let (_, out, _) = diff(&of(300), &of(600), &["--output", "github"]);
    assert!(out.starts_with("::error file="), "{out}");
    assert!(
        out.ends_with(&format!(
            ",line=16,title=Step-up weakened::POST /pay: max-age weakened: 300 → 600 \
             (/endpoints/0/security/max-age, {print})\n"
        )),
        "{out}"
    );
    for usage in [&["diff"][..], &["diff", "a"], &["diff", "no-such", "no-such"]] {
        let (code, out, _) = said(run(stepup(), usage));
        assert_eq!((code, out.as_str()), (2, ""), "{usage:?}");
    }
}

#[test]
fn what_is_gone_stands_in_the_old_contract() {
    let standard = json!({"step-up": false});
    let (pay, me) = (endpoint("POST", "/pay", &standard), endpoint("GET", "/me", &standard));
    let (old, new) = (contract("deny", &[me.clone(), pay]), contract("deny", &[me]));
    let (_, out, _) = diff(&old, &new, &["--output", "json"]);
    let change = &serde_json::from_str::<Value>(&out).expect("JSON")["changes"][0];
    assert_eq!((&change["in"], &change["pointer"]), (&json!("old"), &json!("/endpoints/1")));
    let (_, out, _) = diff(&old, &new, &["--output", "github"]);
    let place =
        format!("old.json,line={},title=Step-up weakened::POST /pay: is gone", change["line"]);
    assert!(change["line"].is_number() && out.contains(&place), "{place}: {out}");
    let (_, out, _) = diff(&old, &new, &["--output", "sarif"]);
    let log: Value = serde_json::from_str(&out).expect("JSON");
    let place = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert!(place["artifactLocation"]["uri"].as_str().expect("text").ends_with("old.json"));
    assert_eq!(place["region"]["startLine"], change["line"]);
}

#[test]
fn a_waiver_counts_until_its_last_day_and_is_told_in_each_form() {
    let of = |age: u32| {
        let security = json!({"step-up": true, "methods": ["mfa"], "max-age": age});
        contract("deny", &[endpoint("POST", "/pay", &security)])
    };
    let print = compare(&of(300), &of(600)).expect("compared")[0].fingerprint();
    let folder = tempfile::tempdir().expect("a folder");
    let settings = folder.path().join("stepup.toml");
    let with = |expires: &str, form: &str| {
        let waiver = format!(
            "[[waivers]]\nfingerprint = \"{print}\"\nreason = \"BANK-1\"\nexpires = {expires}\n"
        );
        fs::write(&settings, waiver).expect("written");
        let settings = settings.to_str().expect("text");
        diff(&of(300), &of(600), &["--output", form, "--config", settings])
    };
    for (expires, code, said, json_key, json_value) in [
        ("2999-12-31", 0, "waived: BANK-1", "waived", "BANK-1"),
        ("2020-01-31", 1, "its waiver ended on 2020-01-31", "waiver-expired", "2020-01-31"),
    ] {
        for form in ["text", "markdown"] {
            let (ended, out, _) = with(expires, form);
            assert_eq!(ended, code, "{form}: {out}");
            assert!(out.contains(said), "{form}: {out}");
        }
        let (_, out, _) = with(expires, "json");
        let document: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(document["changes"][0][json_key], json_value, "{out}");
    }
}

#[test]
fn a_program_stands_for_its_contract() {
    cargo(&["build", "--quiet", "--package", "quickstart"]);
    let program = target().join("debug/quickstart");
    let program = program.to_str().expect("text");
    let folder = tempfile::tempdir().expect("a folder");
    let committed = folder.path().join("contract.json");
    fs::write(&committed, run(stepup(), &["export", program]).stdout).expect("written");
    let committed = committed.to_str().expect("text");
    let (code, out, _) = said(run(stepup(), &["diff", committed, program]));
    assert_eq!((code, out.as_str()), (0, ""));
    assert_eq!(said(run(stepup(), &["check", program])).0, 0);
}

/// Each request goes on with any part of these, so that there are millions of kinds of them.
#[test]
fn what_cannot_be_compared_is_not_called_equal() {
    let crossing = |security: &Value| {
        let of = |at: usize| {
            let segments = (0..24).map(|other| match other == at {
                true => "/x".to_owned(),
                false => format!("/{{p{other}}}"),
            });
            endpoint("GET", &segments.collect::<String>(), security)
        };
        contract("deny", &(0..24).map(of).collect::<Vec<_>>())
    };
    let (old, new) = (
        crossing(&json!({"step-up": true, "methods": ["mfa"]})),
        crossing(&json!({"step-up": false})),
    );
    assert!(compare(&old, &new).is_err());
    let (code, out, err) = diff(&old, &new, &[]);
    assert_eq!((code, &*out), (2, ""), "{err}");
    assert!(
        err.contains("the paths overlap in so many ways that they cannot be compared"),
        "{err}"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("contract.json");
    fs::write(&file, new.to_json()).expect("a file");
    let (code, out, _) = said(run(stepup(), &["check", file.to_str().expect("text")]));
    assert!(code == 0 && out.contains("from a stricter one could not be checked"), "{out}");
}

#[test]
fn standard_input_is_one_contract() {
    let (code, out, err) = said(run(stepup(), &["diff", "-", "-"]));
    assert_eq!((code, &*out), (2, ""));
    assert!(err.contains("only one of the two contracts can be on standard input"), "{err}");
}
