//! `stepup check` and `stepup diff` in a pull request: lints, their levels, waivers, and output formats.

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use stepup_contract::Rule;
use stepup_tests::command::{self, stepup, workspace};
use tempfile::TempDir;

/// The first endpoint is on line 7.
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

/// Runs `stepup` in this folder. Returns its exit code, standard output and standard error.
fn run_in(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = command::run_in(folder, stepup(), arguments);
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
fn every_lint_is_reported_with_its_line_and_level() {
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
        pointers.iter().map(|finding| finding["pointer"].as_str().expect("a pointer")).collect();
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
fn the_settings_set_the_level_of_each_lint() {
    let settings = "[lints]\nno-scopes = \"off\"\nsms-only = \"error\"\nlongest-max-age = 7200\n";
    let folder = folder(settings);
    assert_eq!(
        rules(&findings(&folder, &[])),
        ["error sms-only 10", "warning shadowed 12", "warning state-changing-standard 8"]
    );
    let (code, out, err) = run_in(folder.path(), &["check", "contract.json"]);
    assert_eq!((code, err.as_str()), (1, "3 endpoints, 1 error, 2 warnings\n"));
    assert!(out.starts_with("error: GET /accounts/{id}: a code sent by text message"), "{out}");
    assert!(out.contains("(contract.json:10, sms-only, /endpoints/1/security/methods)"), "{out}");

    let conflicting =
        "[[issuers]]\nissuer = \"https://a\"\nacr-claim = \"a\"\nacr-list-claim = \"b\"\n";
    fs::write(folder.path().join("conflicting.toml"), conflicting).expect("a file");
    let (code, _, err) =
        run_in(folder.path(), &["check", "contract.json", "--config", "conflicting.toml"]);
    assert_eq!(code, 2);
    assert!(err.contains("has both acr-claim and acr-list-claim"), "{err}");

    fs::write(folder.path().join("other.toml"), "[lints]\nsms-onyl = \"off\"\n").expect("a file");
    let (code, _, err) =
        run_in(folder.path(), &["check", "contract.json", "--config", "other.toml"]);
    assert_eq!(code, 2);
    assert!(err.contains("other.toml") && err.contains("did you mean `sms-only`"), "{err}");
}

#[test]
fn a_finding_about_the_whole_contract_has_a_location() {
    let folder = folder("[lints]\nno-scopes = \"off\"\n");
    let open = CONTRACT.replace("\"unlisted\": \"deny\"", "\"unlisted\": \"allow\"");
    fs::write(folder.path().join("contract.json"), open).expect("a file");
    let findings = findings(&folder, &[]);
    let found =
        findings.iter().find(|finding| finding["rule"] == "unlisted-allow").expect("a finding");
    assert_eq!((&found["pointer"], &found["line"]), (&json!("/unlisted"), &json!(5)));
}

#[test]
fn an_unenforceable_requirement_is_an_error() {
    let folder = folder("[lints]\nno-scopes = \"off\"\n");
    let per_action =
        CONTRACT.replace("\"max-age\": 7200", "\"max-age\": 300, \"per-action\": true");
    fs::write(folder.path().join("contract.json"), per_action).expect("a file");
    let findings = findings(&folder, &[]);
    assert_eq!(rules(&findings)[0], "error unenforceable 11");
    let message = findings[0]["message"].as_str().expect("a message");
    assert!(message.contains("per_action") && message.ends_with("remove it"), "{message}");
}

fn waiver(lint: &str, expires: &str) -> String {
    format!(
        "[[waivers]]\nlint = {lint:?}\nroute = \"GET /accounts/{{id}}\"\nreason = \"until the app has keys\"\n\
         expires = {expires}\n"
    )
}

#[test]
fn a_waiver_applies_until_it_expires_and_is_printed_with_its_reason() {
    let levels = "[lints]\nsms-only = \"error\"\n";
    let folder = folder(levels);
    let with = |waiver: &str| {
        let text = format!("{levels}{waiver}");
        fs::write(folder.path().join("stepup.toml"), text).expect("a file");
        run_in(folder.path(), &["check", "contract.json"])
    };
    let (code, out, err) = with(&waiver("sms-only", "2999-12-31"));
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
    let (code, out, _) = with(&waiver("sms-only", "\"2026-01-31\""));
    assert_eq!(code, 1);
    assert!(out.contains("the exception expired on 2026-01-31"), "{out}");

    for (waiver, expected) in [
        (
            waiver("sms-only", "2999-12-31").replace("until the app has keys", " "),
            "the reason is empty",
        ),
        (waiver("sms-only", "2999-13-31"), "stepup.toml"),
        (waiver("sms-only", "\"soon\""), "write it as 2027-01-31"),
        (waiver("sms-only", "\"29991231\""), "write it as 2027-01-31"),
        (waiver("sms-only", "2999-12-31T10:00:00+05:00"), "write it as 2027-01-31"),
        (waiver("sms-onyl", "2999-12-31"), "did you mean `sms-only`"),
        ("[[waivers]]\nlint = \"sms-only\"\nreason = \"x\"\n".into(), "missing field `expires`"),
    ] {
        let (code, _, err) = with(&waiver);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(expected), "{expected:?} is not in {err:?}");
    }
}

/// Checks the members that Step-up writes against SARIF 2.1.0 (§3.27 and later), and returns the log.
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
        let location = &result["locations"][0]["physicalLocation"];
        assert!(location["artifactLocation"]["uri"].is_string());
        let line = &location["region"]["startLine"];
        assert!(line.is_null() || line.as_u64().is_some_and(|line| line > 0), "{line}");
    }
    log
}

#[test]
fn check_and_diff_write_reports_for_code_scanning_and_pull_requests() {
    let folder = folder("[lints]\nno-scopes = \"off\"\n");
    let (_, sarif, _) = run_in(folder.path(), &["check", "contract.json", "--output", "sarif"]);
    let log = assert_is_sarif(&sarif);
    let results = log["runs"][0]["results"].as_array().expect("results");
    assert_eq!(results.len(), 4);
    assert_eq!(results[0]["locations"][0]["physicalLocation"]["region"]["startLine"], 12);
    let logical = &results[0]["locations"][0]["logicalLocations"][0];
    assert_eq!(logical["fullyQualifiedName"], "/endpoints/2/path");

    let (_, github, _) = run_in(folder.path(), &["check", "contract.json", "--output", "github"]);
    let first = github.lines().next().expect("a line");
    assert!(
        first.starts_with("::warning file=contract.json,line=12,title=Step-up shadowed::GET "),
        "{first}"
    );
    assert!(first.ends_with(" (/endpoints/2/path)"), "{first}");
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
fn errors_of_an_invalid_contract_are_reported_with_their_lines() {
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
    // A duplicate key is reported at its second occurrence, and invalid JSON at its line.
    for (text, expected, pointer, line) in [
        ("{\"contract\": 1,\n \"contract\": 1}", "duplicate key", "/contract", 2),
        ("{\"contract\": 1,\n\n contract}", "key must be a string", "", 3),
    ] {
        fs::write(folder.path().join("odd.json"), text).expect("a file");
        let (code, _, err) = run_in(folder.path(), &["check", "odd.json"]);
        assert_eq!(code, 1);
        let found = err.lines().find(|found| found.contains(expected)).expect(&err);
        assert!(found.contains(&format!("odd.json:{line}: ")), "{err}");
        let (_, json, _) = run_in(folder.path(), &["check", "odd.json", "--output", "json"]);
        let found = serde_json::from_str::<Value>(&json).expect("JSON")["findings"].take();
        let found = found.as_array().into_iter().flatten().find(|found| {
            found["message"].as_str().is_some_and(|message| message.contains(expected))
        });
        let found = found.expect(&json);
        assert_eq!((&found["pointer"], &found["line"]), (&json!(pointer), &json!(line)));
    }
}

#[test]
fn the_documentation_lists_every_lint() {
    let page = fs::read_to_string(workspace().join("docs/contract.md")).expect("the page");
    for rule in Rule::ALL {
        assert!(page.contains(&format!("| `{rule}` |")), "{rule}");
    }
}

/// This test program contains two handlers, of which one has a route.
#[stepup_runtime::step_up(get = "/routed", methods = ["mfa"], max_age = 300, scopes = ["a"])]
#[expect(dead_code, reason = "it is linked, which is all that counts")]
async fn routed() {}

#[stepup_runtime::step_up(methods = ["mfa"])]
#[expect(dead_code, reason = "it is linked, which is all that counts")]
async fn routeless() {}

#[test]
fn a_handler_without_a_route_is_reported_at_the_configured_level() {
    let program = std::env::current_exe().expect("a path");
    let program = program.to_str().expect("text");
    let check_with = |settings: &str| {
        let folder = folder(settings);
        let (code, out, _) = run_in(folder.path(), &["check", program, "--output", "json"]);
        let document: Value = serde_json::from_str(&out).expect("JSON");
        let findings = document["findings"].as_array().expect("findings").iter();
        let own = findings.filter(|finding| {
            finding["rule"] == "no-route"
                && finding["message"]
                    .as_str()
                    .is_some_and(|message| message.contains("check::routeless"))
        });
        (code, own.cloned().collect::<Vec<_>>())
    };
    let (code, findings) = check_with("");
    assert_eq!((code, findings.len()), (1, 1), "{findings:?}");
    assert_eq!(
        (&findings[0]["rule"], &findings[0]["level"]),
        (&json!("no-route"), &json!("error"))
    );
    let message = findings[0]["message"].as_str().expect("a message");
    assert!(message.contains("the handler cli::check::routeless has no route"), "{message}");

    let (code, findings) = check_with("[lints]\nno-route = \"note\"");
    assert_eq!((code, &findings[0]["level"]), (0, &json!("note")));
    let (code, findings) =
        check_with("[[waivers]]\nlint = \"no-route\"\nreason = \"BANK-1\"\nexpires = 9999-01-01");
    assert_eq!((code, &findings[0]["waived"]), (0, &json!("BANK-1")));

    // Other commands always refuse a program that has a handler without a route.
    let folder = folder("[lints]\nno-route = \"off\"");
    for arguments in [["export", program].as_slice(), &["diff", program, program]] {
        let (code, out, err) = run_in(folder.path(), arguments);
        assert!(code > 0 && err.contains("check::routeless has no route"), "{out}{err}");
    }
}

#[test]
fn nothing_that_a_terminal_interprets_is_printed() {
    let escape = "\u{1b}]0;owned\u{7}\u{1b}[2K";
    let folder = folder(&format!("[lints]\n\"{escape}\" = \"error\"\n# {escape}\n"));
    let contract = folder.path().join("contract.json");
    fs::write(&contract, json!([]).to_string()).expect("a file");
    let settings = folder.path().join("stepup.toml");
    let (contract, settings) = (contract.to_str().expect("text"), settings.to_str().expect("text"));
    let odd_path = format!("/missing/{escape}");
    for arguments in [
        &["check", contract, "--config", settings][..],
        &["check", &odd_path],
        &["check", contract, escape],
        &["check", contract, "--output", escape],
        &["diff", &odd_path, contract],
        &["export", &odd_path],
        &["explain", contract, escape, "/a", "--claims", contract],
        &["render", "html", &odd_path],
    ] {
        let output = command::run(stepup(), arguments);
        let printed = [&output.stdout[..], &output.stderr[..]].concat();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let text = String::from_utf8_lossy(&printed);
        assert!(!text.contains(['\u{1b}', '\u{7}']), "{arguments:?}: {text}");
        assert!(!text.trim().is_empty(), "{arguments:?}");
    }
}
