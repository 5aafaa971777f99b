//! `stepup check` and `stepup diff` in a pull request: lints, their levels, waivers, and the forms of a report.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use stepup_contract::Rule;
use stepup_tests::command::{stepup, workspace};
use tempfile::TempDir;

/// The seventh line is that of the first endpoint.
const CONTRACT: &str = r#"{
  "contract": 1,
  "service": "bank",
  "version": "1",
  "unlisted": "deny",
  "endpoints": [
    { "method": "POST", "path": "/pay",
      "security": { "step-up": false } },
    { "method": "GET", "path": "/accounts/{id}", "security": {
        "step-up": true, "methods": ["sms"],
        "max-age": 7200 } },
    { "method": "GET", "path": "/accounts/all", "security": { "step-up": false } }
  ]
}
"#;

fn folder(settings: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("contract.json"), CONTRACT).expect("a file");
    fs::write(folder.path().join("stepup.toml"), settings).expect("a file");
    folder
}

/// Runs it in this folder: its exit code, what it says, and what it says of itself.
fn run_in(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output: Output =
        Command::new(stepup()).args(arguments).current_dir(folder).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("a code"), text(output.stdout), text(output.stderr))
}

fn findings(folder: &TempDir, extra: &[&str]) -> Vec<Value> {
    let arguments = [&["check", "contract.json", "--output", "json"], extra].concat();
    let (_, out, err) = run_in(folder.path(), &arguments);
    let document: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    document["findings"].as_array().expect("findings").clone()
}

fn rules(findings: &[Value]) -> Vec<String> {
    let of = |finding: &Value| {
        format!("{} {} {}", finding["level"], finding["rule"], finding["line"]).replace('"', "")
    };
    findings.iter().map(of).collect()
}

#[test]
fn every_lint_has_its_line_and_its_level() {
    let folder = folder("");
    assert_eq!(
        rules(&findings(&folder, &[])),
        [
            "warning shadowed 12",
            "warning long-max-age 11",
            "warning sms-only 10",
            "warning state-changing-standard 8",
            "note no-scopes 12",
            "note no-scopes 9",
            "note no-scopes 8",
        ]
    );
    let pointers = findings(&folder, &[]);
    let pointers: Vec<&str> =
        pointers.iter().map(|one| one["pointer"].as_str().expect("a pointer")).collect();
    assert_eq!(
        pointers[..4],
        [
            "/endpoints/2/path",
            "/endpoints/1/security/max-age",
            "/endpoints/1/security/methods",
            "/endpoints/0/security",
        ]
    );
    let (code, _, err) = run_in(folder.path(), &["check", "contract.json"]);
    assert_eq!((code, err.as_str()), (0, "3 endpoints, 0 errors, 4 warnings\n"));
    let (code, ..) = run_in(folder.path(), &["check", "contract.json", "--deny", "warnings"]);
    assert_eq!(code, 1);
}

#[test]
fn the_settings_say_how_much_each_matters() {
    let settings = "[lints]\nno-scopes = \"off\"\nsms-only = \"error\"\nlongest-max-age = 7200\n";
    let folder = folder(settings);
    assert_eq!(
        rules(&findings(&folder, &[])),
        ["error sms-only 10", "warning shadowed 12", "warning state-changing-standard 8"]
    );
    let (code, out, err) = run_in(folder.path(), &["check", "contract.json"]);
    assert_eq!((code, err.as_str()), (1, "3 endpoints, 1 error, 2 warnings\n"));
    assert!(out.starts_with("error: GET /accounts/{id}: a code sent by text message"), "{out}");
    assert!(out.contains("(contract.json:10, sms-only, /endpoints/1/security/methods, "), "{out}");

    let twice = "[[issuers]]\nissuer = \"https://a\"\nacr-claim = \"a\"\nacr-list-claim = \"b\"\n";
    fs::write(folder.path().join("twice.toml"), twice).expect("a file");
    let (code, _, err) =
        run_in(folder.path(), &["check", "contract.json", "--config", "twice.toml"]);
    assert_eq!(code, 2);
    assert!(err.contains("acr-claim and acr-list-claim are both said"), "{err}");

    fs::write(folder.path().join("other.toml"), "[lints]\nsms-onyl = \"off\"\n").expect("a file");
    let (code, _, err) =
        run_in(folder.path(), &["check", "contract.json", "--config", "other.toml"]);
    assert_eq!(code, 2);
    assert!(err.contains("other.toml") && err.contains("did you mean `sms-only`"), "{err}");
}

#[test]
fn what_the_contract_as_a_whole_says_has_a_place_too() {
    let folder = folder("[lints]\nno-scopes = \"off\"\n");
    let open = CONTRACT.replace("\"unlisted\": \"deny\"", "\"unlisted\": \"allow\"");
    fs::write(folder.path().join("contract.json"), open).expect("a file");
    let findings = findings(&folder, &[]);
    let found = findings.iter().find(|one| one["rule"] == "unlisted-allow").expect("it is found");
    assert_eq!((&found["pointer"], &found["line"]), (&json!("/unlisted"), &json!(5)));
}

#[test]
fn what_cannot_be_enforced_is_an_error() {
    let folder = folder("[lints]\nno-scopes = \"off\"\n");
    let asking = CONTRACT.replace("\"max-age\": 7200", "\"max-age\": 300, \"per-action\": true");
    fs::write(folder.path().join("contract.json"), asking).expect("a file");
    let findings = findings(&folder, &[]);
    assert_eq!(rules(&findings)[0], "error unenforceable 11");
    let message = findings[0]["message"].as_str().expect("a message");
    assert!(message.contains("per_action") && message.ends_with("leave it out"), "{message}");
}

fn waiver(fingerprint: &Value, expires: &str) -> String {
    format!(
        "[[waivers]]\nfingerprint = {fingerprint}\nreason = \"until the app has keys\"\nexpires = {expires}\n"
    )
}

#[test]
fn a_waiver_holds_for_its_time_and_says_why() {
    let levels = "[lints]\nsms-only = \"error\"\n";
    let folder = folder(levels);
    let sms = findings(&folder, &[]).into_iter().find(|found| found["rule"] == "sms-only");
    let fingerprint = sms.expect("found")["fingerprint"].clone();
    let with = |waiver: &str| {
        let text = format!("{levels}{waiver}");
        fs::write(folder.path().join("stepup.toml"), text).expect("a file");
        run_in(folder.path(), &["check", "contract.json"])
    };
    let (code, out, err) = with(&waiver(&fingerprint, "2999-12-31"));
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("waived (until the app has keys): GET /accounts/{id}: "), "{out}");
    let (_, sarif, _) = run_in(folder.path(), &["check", "contract.json", "--output", "sarif"]);
    let results = assert_is_sarif(&sarif)["runs"][0]["results"].take();
    let suppressed: Vec<_> = results
        .as_array()
        .into_iter()
        .flatten()
        .filter(|result| result["suppressions"][0]["kind"] == "external")
        .map(|result| result["ruleId"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(suppressed, ["sms-only"]);
    let (code, out, _) = with(&waiver(&fingerprint, "\"2026-01-31\""));
    assert_eq!(code, 1);
    assert!(out.contains("its waiver ended on 2026-01-31"), "{out}");

    for (waiver, said) in [
        (
            waiver(&fingerprint, "2999-12-31").replace("until the app has keys", " "),
            "needs a reason",
        ),
        (waiver(&fingerprint, "2999-13-31"), "stepup.toml"),
        (waiver(&fingerprint, "\"soon\""), "as in 2027-01-31"),
        (waiver(&fingerprint, "\"29991231\""), "as in 2027-01-31"),
        (waiver(&fingerprint, "2999-12-31T10:00:00+05:00"), "as in 2027-01-31"),
        (waiver(&json!("abc"), "2999-12-31"), "is no fingerprint"),
        (
            "[[waivers]]\nfingerprint = \"0123456789abcdef\"\nreason = \"x\"\n".into(),
            "missing field `expires`",
        ),
    ] {
        let (code, _, err) = with(&waiver);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(said), "{said:?} is not in {err:?}");
    }
}

#[test]
fn a_weakened_change_can_be_waived_too() {
    let folder = folder("");
    let stronger = CONTRACT.replace("\"methods\": [\"sms\"]", "\"methods\": [\"mfa\", \"sms\"]");
    fs::write(folder.path().join("old.json"), stronger).expect("a file");
    let diff = ["diff", "old.json", "contract.json"];
    let (code, out, _) = run_in(folder.path(), &[&diff[..], &["--output", "json"]].concat());
    assert_eq!(code, 1);
    let document: Value = serde_json::from_str(&out).expect("JSON");
    let fingerprint = &document["changes"][0]["fingerprint"];
    fs::write(folder.path().join("stepup.toml"), waiver(fingerprint, "2999-12-31"))
        .expect("a file");
    let (code, out, err) = run_in(folder.path(), &diff);
    assert_eq!((code, err.as_str()), (0, "0 weakened, 0 tightened, 0 neutral, 1 waived\n"));
    assert!(out.contains("waived: until the app has keys"), "{out}");
}

/// What SARIF 2.1.0 asks of the members that are used here (§3.27 and on).
fn assert_is_sarif(text: &str) -> Value {
    let log: Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules: Vec<&str> = run["tool"]["driver"]["rules"]
        .as_array()
        .expect("rules")
        .iter()
        .map(|rule| {
            assert!(rule["shortDescription"]["text"].is_string());
            rule["id"].as_str().expect("an id")
        })
        .collect();
    for result in run["results"].as_array().expect("results") {
        assert!(rules.contains(&result["ruleId"].as_str().expect("a rule")), "{result}");
        let level = result["level"].as_str().expect("a level");
        assert!(["error", "warning", "note"].contains(&level), "{level}");
        assert!(result["message"]["text"].is_string());
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["artifactLocation"]["uri"].is_string());
        let line = &place["region"]["startLine"];
        assert!(line.is_null() || line.as_u64().is_some_and(|line| line > 0), "{line}");
    }
    log
}

#[test]
fn a_report_is_written_for_code_scanning_and_for_pull_requests() {
    let folder = folder("[lints]\nno-scopes = \"off\"\n");
    let (_, sarif, _) = run_in(folder.path(), &["check", "contract.json", "--output", "sarif"]);
    let log = assert_is_sarif(&sarif);
    let results = log["runs"][0]["results"].as_array().expect("results");
    assert_eq!(results.len(), 4);
    assert_eq!(results[0]["locations"][0]["physicalLocation"]["region"]["startLine"], 12);
    assert!(results[0]["partialFingerprints"]["stepup/v1"].is_string());
    let logical = &results[0]["locations"][0]["logicalLocations"][0];
    assert_eq!(logical["fullyQualifiedName"], "/endpoints/2/path");

    let (_, github, _) = run_in(folder.path(), &["check", "contract.json", "--output", "github"]);
    let first = github.lines().next().expect("a line");
    assert!(
        first.starts_with("::warning file=contract.json,line=12,title=Step-up shadowed::GET "),
        "{first}"
    );
    let print = results[0]["partialFingerprints"]["stepup/v1"].as_str().expect("text");
    assert!(first.ends_with(&format!(" (/endpoints/2/path, {print})")), "{first}");
    assert_eq!(github.lines().count(), 4);

    let weaker = CONTRACT.replace("7200", "9000");
    fs::write(folder.path().join("new.json"), weaker).expect("a file");
    let diff = ["diff", "contract.json", "new.json", "--output"];
    let (code, sarif, _) = run_in(folder.path(), &[&diff[..], &["sarif"]].concat());
    let result = assert_is_sarif(&sarif)["runs"][0]["results"][0].clone();
    assert_eq!(
        (code, &result["ruleId"], &result["level"]),
        (1, &json!("weakened"), &json!("error"))
    );
    assert_eq!(result["locations"][0]["physicalLocation"]["region"]["startLine"], 11);
    let (_, github, _) = run_in(folder.path(), &[&diff[..], &["github"]].concat());
    assert!(
        github.starts_with("::error file=new.json,line=11,title=Step-up weakened::"),
        "{github}"
    );
}

#[test]
fn what_keeps_a_document_from_being_a_contract_is_told_with_its_line() {
    let folder = folder("");
    let bad = CONTRACT.replace("\"max-age\": 7200", "\"maxage\": 7200").replace("sms", "smss");
    fs::write(folder.path().join("bad.json"), bad).expect("a file");
    let (code, out, err) = run_in(folder.path(), &["check", "bad.json"]);
    assert_eq!((code, out.as_str()), (1, ""));
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!(
        lines,
        [
            "error: bad.json:10: at /endpoints/1/security/methods/0: unknown method `smss`; did you \
             mean `sms`?",
            "error: bad.json:11: at /endpoints/1/security/maxage: unknown field; did you mean \
             `max-age`?",
        ]
    );
    let (code, sarif, _) = run_in(folder.path(), &["check", "bad.json", "--output", "sarif"]);
    let results = assert_is_sarif(&sarif)["runs"][0]["results"].clone();
    assert_eq!((code, results.as_array().map(Vec::len)), (1, Some(2)));
    assert_eq!(results[0]["ruleId"], "contract");
    // A key that stands twice, where it does so the second time; and what is no JSON.
    for (text, said, pointer, line) in [
        ("{\"contract\": 1,\n \"contract\": 1}", "stands twice", "/contract", 2),
        ("{\"contract\": 1,\n\n contract}", "key must be a string", "", 3),
    ] {
        fs::write(folder.path().join("odd.json"), text).expect("a file");
        let (code, _, err) = run_in(folder.path(), &["check", "odd.json"]);
        assert_eq!(code, 1);
        let found = err.lines().find(|found| found.contains(said)).expect(&err);
        assert!(found.contains(&format!("odd.json:{line}: ")), "{err}");
        let (_, json, _) = run_in(folder.path(), &["check", "odd.json", "--output", "json"]);
        let found = serde_json::from_str::<Value>(&json).expect("JSON")["findings"].take();
        let found =
            found.as_array().into_iter().flatten().find(|found| {
                found["message"].as_str().is_some_and(|message| message.contains(said))
            });
        let found = found.expect(&json);
        assert_eq!((&found["pointer"], &found["line"]), (&json!(pointer), &json!(line)));
    }
}

#[test]
fn the_page_names_every_lint() {
    let page = fs::read_to_string(workspace().join("docs/contract.md")).expect("the page");
    for rule in Rule::ALL {
        assert!(page.contains(&format!("| `{rule}` |")), "{rule}");
    }
}

/// This very test program has two handlers, and a route for one of them.
#[stepup_runtime::step_up(get = "/routed", methods = ["mfa"], max_age = 300, scopes = ["a"])]
#[expect(dead_code, reason = "it is linked, which is all that counts")]
async fn routed() {}

#[stepup_runtime::step_up(methods = ["mfa"])]
#[expect(dead_code, reason = "it is linked, which is all that counts")]
async fn routeless() {}

#[test]
fn a_handler_without_a_route_matters_as_much_as_the_settings_say() {
    let program = std::env::current_exe().expect("a path");
    let program = program.to_str().expect("text");
    let checked = |settings: &str| {
        let folder = folder(settings);
        let (code, out, _) = run_in(folder.path(), &["check", program, "--output", "json"]);
        let document: Value = serde_json::from_str(&out).expect("JSON");
        let findings = document["findings"].as_array().expect("findings").iter();
        (code, findings.filter(|one| one["rule"] == "no-route").cloned().collect::<Vec<_>>())
    };
    let (code, findings) = checked("");
    assert_eq!((code, findings.len()), (1, 1), "{findings:?}");
    assert_eq!(
        (&findings[0]["rule"], &findings[0]["level"]),
        (&json!("no-route"), &json!("error"))
    );
    let message = findings[0]["message"].as_str().expect("a message");
    assert!(message.contains("the handler check::routeless has no route"), "{message}");

    let (code, findings) = checked("[lints]\nno-route = \"note\"");
    assert_eq!((code, &findings[0]["level"]), (0, &json!("note")));
    let fingerprint = &findings[0]["fingerprint"];
    let (code, findings) = checked(&format!(
        "[[waivers]]\nfingerprint = {fingerprint}\nreason = \"BANK-1\"\nexpires = 9999-01-01"
    ));
    assert_eq!((code, &findings[0]["waived"]), (0, &json!("BANK-1")));

    // What lacks a handler is no contract to any other command.
    let folder = folder("[lints]\nno-route = \"off\"");
    for arguments in [["export", program].as_slice(), &["diff", program, program]] {
        let (code, out, err) = run_in(folder.path(), arguments);
        assert!(code > 0 && err.contains("check::routeless has no route"), "{out}{err}");
    }
}
