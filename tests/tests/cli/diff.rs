//! `stepup diff`: its output in each format, and its exit code.

use serde_json::{Value, json};
use std::fs;
use std::process::Output;
use stepup_contract::{Contract, compare};
use stepup_tests::command::{cargo, run, run_in, stepup, target};
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
    outcome(run(stepup(), &arguments))
}

/// The exit code, standard output and standard error of the command.
fn outcome(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("a code"), text(output.stdout), text(output.stderr))
}

#[test]
fn the_command_reports_changes_in_each_format_and_sets_the_exit_code() {
    let of = |age: u32| {
        let security = json!({"step-up": true, "methods": ["mfa"], "max-age": age});
        contract("deny", &[endpoint("POST", "/pay", &security)])
    };
    let (code, out, err) = diff(&of(300), &of(600), &[]);
    assert_eq!(code, 1);
    assert_eq!(out, "weakened: POST /pay (changed)\n  max-age weakened: 5 min → 10 min\n");
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
        out.contains("| **weakened** | `POST /pay` | changed | max-age weakened: 5 min → 10 min |"),
        "{out}"
    );
    let (_, out, _) = diff(&of(300), &of(600), &["--output", "github"]);
    assert!(out.starts_with("::error file="), "{out}");
    assert!(
        out.ends_with(
            ",line=16,title=Step-up weakened::POST /pay: max-age weakened: 5 min → 10 min \
             (/endpoints/0/security/max-age)\n"
        ),
        "{out}"
    );
    for usage in [&["diff"][..], &["diff", "a"], &["diff", "no-such", "no-such"]] {
        let (code, out, _) = outcome(run(stepup(), usage));
        assert_eq!((code, out.as_str()), (2, ""), "{usage:?}");
    }
}

#[test]
fn a_removed_endpoint_is_located_in_the_old_contract() {
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

/// A contract whose only endpoint requires `mfa` within the last `max_age` seconds.
fn payment(max_age: u32) -> Contract {
    let security = json!({"step-up": true, "methods": ["mfa"], "max-age": max_age});
    contract("deny", &[endpoint("POST", "/pay", &security)])
}

#[test]
fn a_change_accepted_by_flag_is_printed_and_does_not_fail() {
    for route in ["POST /pay", "changed POST /pay"] {
        let (code, out, err) = diff(&payment(300), &payment(600), &["--accept", route]);
        assert_eq!(code, 0, "{out}{err}");
        assert!(out.contains("accepted: --accept"), "{out}");
    }
    for other in ["POST /refund", "gone POST /pay", "GET /pay"] {
        let (code, out, _) = diff(&payment(300), &payment(600), &["--accept", other]);
        assert_eq!(code, 1, "{other}: {out}");
    }
    let (code, _, err) = diff(&payment(300), &payment(600), &["--accept", "pay"]);
    assert!(code == 2 && err.contains("as in \"POST /pay\""), "{err}");
}

#[test]
fn the_settings_accept_a_change_until_its_last_day() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = folder.path().join("stepup.toml");
    let with = |expires: &str, form: &str| {
        let accept = format!(
            "[[accept]]\nroute = \"POST /pay\"\nreason = \"BANK-1\"\nexpires = {expires}\n"
        );
        fs::write(&settings, accept).expect("written");
        let settings = settings.to_str().expect("text");
        diff(&payment(300), &payment(600), &["--output", form, "--config", settings])
    };
    for (expires, code, expected, json_key, json_value) in [
        ("2999-12-31", 0, "accepted: BANK-1", "accepted", "BANK-1"),
        (
            "2020-01-31",
            1,
            "the exception expired on 2020-01-31",
            "acceptance-expired",
            "2020-01-31",
        ),
    ] {
        for form in ["text", "markdown"] {
            let (exit_code, out, _) = with(expires, form);
            assert_eq!(exit_code, code, "{form}: {out}");
            assert!(out.contains(expected), "{form}: {out}");
        }
        let (_, out, _) = with(expires, "json");
        let document: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(document["changes"][0][json_key], json_value, "{out}");
    }
}

/// A pull request must not accept its own weakening: CI passes the settings of the target branch.
#[test]
fn accepted_changes_are_read_from_the_file_that_settings_from_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path.to_str().expect("text").to_owned()
    };
    write("old.json", &payment(300).to_json());
    write("new.json", &payment(600).to_json());
    // The settings of the pull request accept the change. Those of the target branch do not.
    write(
        "stepup.toml",
        "[[accept]]\nroute = \"POST /pay\"\nreason = \"BANK-1\"\nexpires = 2999-12-31\n",
    );
    let target = write("target.toml", "");
    let code = |arguments: &[&str]| {
        let arguments = [&["diff", "old.json", "new.json"], arguments].concat();
        run_in(folder.path(), stepup(), &arguments).status.code()
    };
    assert_eq!(code(&[]), Some(0), "the working directory's settings are the default");
    assert_eq!(code(&["--settings-from", &target]), Some(1));
}

/// An acceptance names one change. It does not cover another endpoint's requests that match the named route now.
#[test]
fn an_acceptance_does_not_cover_requests_of_another_endpoint() {
    let strict = json!({"step-up": true, "methods": ["hwk"], "max-age": 60});
    let mfa = |age: u32| json!({"step-up": true, "methods": ["mfa"], "max-age": age});
    let old = [endpoint("POST", "/users/me", &strict), endpoint("POST", "/users/{id}", &mfa(300))];
    let new = [endpoint("POST", "/users/{id}", &mfa(600))];
    let (old, new) = (contract("deny", &old), contract("deny", &new));
    let (code, out, err) = diff(&old, &new, &["--accept", "POST /users/{id}"]);
    assert_eq!(
        (code, err.as_str()),
        (1, "1 weakened, 0 tightened, 0 neutral, 1 accepted\n"),
        "{out}"
    );
    let name = "changed POST /users/{id} from POST /users/me";
    assert!(out.contains(&format!("its name for --accept: {name}\n")), "{out}");
    let both = ["--accept", "POST /users/{id}", "--accept", name];
    assert_eq!(diff(&old, &new, &both).0, 0);
    // A new endpoint that takes requests from another one.
    let old = contract("deny", &[endpoint("GET", "/a/{id}", &mfa(300))]);
    let more = endpoint("", "/a/admin", &json!({"step-up": false}));
    let new = contract("deny", &[endpoint("GET", "/a/{id}", &mfa(300)), more]);
    assert_eq!(diff(&old, &new, &["--accept", "GET /a/{id}"]).0, 1);
    assert_eq!(diff(&old, &new, &["--accept", "any method /a/admin from GET /a/{id}"]).0, 0);
}

#[test]
fn a_program_is_accepted_in_place_of_its_contract() {
    cargo(&["build", "--quiet", "--package", "quickstart"]);
    let program = target().join("debug/quickstart");
    let program = program.to_str().expect("text");
    let folder = tempfile::tempdir().expect("a folder");
    let committed = folder.path().join("contract.json");
    fs::write(&committed, run(stepup(), &["export", program]).stdout).expect("written");
    let committed = committed.to_str().expect("text");
    let (code, out, _) = outcome(run(stepup(), &["diff", committed, program]));
    assert_eq!((code, out.as_str()), (0, ""));
    assert_eq!(outcome(run(stepup(), &["check", program])).0, 0);
}

/// A request can match any subset of these 24 paths, so there are millions of kinds of requests.
#[test]
fn contracts_that_cannot_be_compared_are_not_reported_as_equal() {
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
    assert!(err.contains("the paths overlap in too many ways to compare them"), "{err}");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("contract.json");
    fs::write(&file, new.to_json()).expect("a file");
    let (code, out, _) = outcome(run(stepup(), &["check", file.to_str().expect("text")]));
    assert!(code == 1 && out.contains("from a stricter one could not be checked"), "{out}");
}

#[test]
fn only_one_contract_can_be_read_from_standard_input() {
    let (code, out, err) = outcome(run(stepup(), &["diff", "-", "-"]));
    assert_eq!((code, &*out), (2, ""));
    assert!(err.contains("only one of the two contracts can be on standard input"), "{err}");
}
