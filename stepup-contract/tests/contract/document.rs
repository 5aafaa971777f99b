//! The JSON form of contracts: output is canonical, and parsing is strict.

use expect_test::expect;
use stepup_contract::{Contract, ContractView, Trust, Unlisted};

const BANK: &str = r#"{
  "contract": 1,
  "service": "bank",
  "version": "0.1.0",
  "unlisted": "allow",
  "base": "/api",
  "endpoints": [
    { "method": "POST", "path": "/approve-transaction", "trust": "sensitive",
      "handler": "bank::approve",
      "security": { "step-up": true, "methods": ["mfa", "custom:okta_verify"],
        "any-methods": ["hwk", "face"], "acr": ["gold", "silver"], "max-age": 300,
        "scopes": ["pay"], "risk": { "step-up": "medium", "deny": "high" },
        "bound": true, "per-action": true } },
    { "path": "/anything", "security": { "step-up": true, "max-age": 0 } },
    { "method": "GET", "path": "/user-profile", "trust": "standard",
      "security": { "step-up": false, "scopes": ["read"] } }
  ]
}"#;

fn errors(text: &str) -> Vec<String> {
    let errors = Contract::parse(text).expect_err(text);
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn the_canonical_form_is_sorted_indented_and_ends_in_a_newline() {
    let contract = Contract::parse(BANK).unwrap();
    expect![[r#"
        {
          "contract": 1,
          "service": "bank",
          "version": "0.1.0",
          "unlisted": "allow",
          "base": "/api",
          "endpoints": [
            {
              "path": "/anything",
              "trust": "sensitive",
              "security": {
                "step-up": true,
                "max-age": 0
              }
            },
            {
              "method": "POST",
              "path": "/approve-transaction",
              "trust": "sensitive",
              "handler": "bank::approve",
              "security": {
                "step-up": true,
                "methods": [
                  "mfa",
                  "custom:okta_verify"
                ],
                "any-methods": [
                  "hwk",
                  "face"
                ],
                "acr": [
                  "gold",
                  "silver"
                ],
                "max-age": 300,
                "scopes": [
                  "pay"
                ],
                "risk": {
                  "step-up": "medium",
                  "deny": "high"
                },
                "bound": true,
                "per-action": true
              }
            },
            {
              "method": "GET",
              "path": "/user-profile",
              "trust": "standard",
              "security": {
                "step-up": false,
                "scopes": [
                  "read"
                ]
              }
            }
          ]
        }
    "#]]
    .assert_eq(&contract.to_json());
    assert_eq!(contract.unlisted(), Unlisted::Allow);
    assert_eq!(contract.endpoints()[2].trust(), Trust::Standard);
}

#[test]
fn the_digest_is_computed_from_the_canonical_bytes() {
    let digest = Contract::new("s", "1", []).unwrap().digest();
    // printf '{\n  "contract": 1,\n  "service": "s",\n  "version": "1",\n  "unlisted": "deny",\n
    //   "endpoints": []\n}\n' | sha256sum
    assert_eq!(digest, "9e4a26b5786e9deef793619973aa2097ce17c1e4545da95d1707e4dc288a0553");
}

#[test]
fn the_short_form_is_accepted_alone_and_in_an_array() {
    let one =
        r#"{"path": "/approve-transaction", "security": {"step-up": true, "methods": ["mfa"]}}"#;
    let alone = Contract::parse(one).unwrap();
    let listed = Contract::parse(format!("[{one}]")).unwrap();
    assert_eq!(alone, listed);
    assert_eq!(alone.endpoints()[0].method, None);
    assert_eq!(alone.unlisted(), Unlisted::Deny);
    assert_eq!(Contract::parse(alone.to_json()).unwrap(), alone);
    assert!(Contract::parse("[]").unwrap().endpoints().is_empty());
}

#[test]
fn an_enforcer_rejects_unknown_fields_and_a_viewer_lists_them() {
    let text = BANK
        .replacen("\"service\"", "\"colour\": 1, \"x-team\": \"payments\", \"service\"", 1)
        .replacen("\"max-age\": 300", "\"maxage\": 300", 1);
    let errors = errors(&text);
    assert_eq!(
        errors,
        [
            "at /colour: unknown field",
            "at /endpoints/0/security/maxage: unknown field; did you mean `max-age`?",
        ]
    );
    let view = ContractView::parse(&text).unwrap();
    assert_eq!(view.warnings().len(), 2);
    assert_eq!(view.endpoints().len(), 3);
}

#[test]
fn each_mistake_is_reported_at_its_pointer() {
    let security = |text: &str| format!(r#"{{"path": "/a", "security": {text}}}"#);
    for (text, expected) in [
        ("", "not a contract: EOF while parsing a value at line 1 column 0"),
        ("7", "at /: a contract is a JSON object, or an array of endpoints"),
        ("[7]", "at /0: an endpoint is a JSON object"),
        (
            r#"{"path": "/a", "path": "/b", "security": {"step-up": false}}"#,
            "at /path: duplicate key: parsers disagree on which value wins; remove one",
        ),
        (
            r#"{"path": "/a"}"#,
            "at /security: missing; write {\"step-up\": false} if a valid token is enough",
        ),
        (r#"{"path": 7, "security": {"step-up": false}}"#, "at /path: must be a string, not 7"),
        (
            r#"{"path": "a", "security": {"step-up": false}}"#,
            "at /path: a path starts with `/`; write \"/a\"",
        ),
        (
            r#"{"path": "/a", "method": "get", "security": {"step-up": false}}"#,
            "at /method: unknown HTTP method `get`; did you mean `GET`?",
        ),
        (
            r#"{"path": "/a", "method": "SUBSCRIBE", "security": {"step-up": false}}"#,
            "at /method: unknown HTTP method `SUBSCRIBE`; the methods are DELETE, GET, HEAD, OPTIONS, PATCH, POST and PUT",
        ),
        (
            r#"{"path": "/a", "trust": "sensitive", "security": {"step-up": false}}"#,
            "at /trust: contradicts security/step-up: sensitive endpoints have true, standard and public ones false",
        ),
        (
            r#"{"path": "/a", "trust": "public", "security": {"step-up": true}}"#,
            "at /security/step-up: a public endpoint requires no step-up; write false, or make it sensitive",
        ),
        (
            r#"{"path": "/a", "trust": "public", "security": {"step-up": false, "scopes": ["a"]}}"#,
            "at /security/scopes: a public endpoint requires nothing of its callers; make it standard or sensitive, \
             or remove this",
        ),
        (
            r#"{"path": "/a", "trust": "public", "reason": " ", "security": {"step-up": false}}"#,
            "at /reason: is empty; write why the endpoint is public",
        ),
        (
            r#"{"path": "/a", "reason": "a", "security": {"step-up": false}}"#,
            "at /reason: states why an endpoint is public, and this endpoint is not; remove it",
        ),
        (
            r#"{"path": "/a", "trust": "high", "security": {"step-up": false}}"#,
            "at /trust: write \"sensitive\" or \"standard\" or \"public\", not \"high\"",
        ),
        (&security("{}"), "at /security/step-up: missing; write true or false"),
        (&security("7"), "at /security: must be an object"),
        (
            &security(r#"{"step-up": "yes"}"#),
            "at /security/step-up: write true or false, not \"yes\"",
        ),
        (
            &security(r#"{"step-up": true}"#),
            "at /security/step-up: a sensitive endpoint requires methods, acr or max_age; without any of them there is no step-up",
        ),
        (
            &security(r#"{"step-up": true, "scopes": ["a"], "bound": true}"#),
            "at /security/step-up: a sensitive endpoint requires methods, acr or max_age; without any of them there is no step-up",
        ),
        (
            &security(r#"{"step-up": false, "max-age": 1}"#),
            "at /security/max-age: a standard endpoint requires no step-up; make it sensitive or remove this",
        ),
        (
            &security(r#"{"step-up": true, "methods": []}"#),
            "at /security/methods: must be an array of strings with at least one element",
        ),
        (
            &security(r#"{"step-up": true, "methods": "mfa"}"#),
            "at /security/methods: must be an array of strings with at least one element",
        ),
        (
            &security(r#"{"step-up": true, "methods": ["mfaa"]}"#),
            "at /security/methods/0: unknown method `mfaa`; did you mean `mfa`?",
        ),
        (
            &security(r#"{"step-up": true, "methods": ["mfa", "mfa"]}"#),
            "at /security/methods/1: duplicate value `mfa`; remove one",
        ),
        (
            &security(r#"{"step-up": true, "acr": ["a b"]}"#),
            "at /security/acr/0: the value must be printable ASCII without spaces, `\"` and `\\`; found ' '",
        ),
        (
            &security(r#"{"step-up": true, "acr": ["0"]}"#),
            "at /security/acr/0: the acr `0` means that no level was reached (OpenID Connect Core §2) and never satisfies a requirement",
        ),
        (
            &security(r#"{"step-up": true, "max-age": -1}"#),
            "at /security/max-age: write whole seconds from 0 to 4294967295, not -1",
        ),
        (
            &security(r#"{"step-up": true, "max-age": 1.5}"#),
            "at /security/max-age: write whole seconds from 0 to 4294967295, not 1.5",
        ),
        (
            &security(r#"{"step-up": true, "max-age": "300"}"#),
            "at /security/max-age: write whole seconds from 0 to 4294967295, not \"300\"",
        ),
        (
            &security(r#"{"step-up": true, "max-age": 4294967296}"#),
            "at /security/max-age: write whole seconds from 0 to 4294967295, not 4294967296",
        ),
        (
            &security(r#"{"step-up": true, "max-age": 1, "risk": {"deny": "severe"}}"#),
            "at /security/risk/deny: unknown risk level `severe`; the levels are low, medium, high and critical",
        ),
        (
            &security(r#"{"step-up": true, "max-age": 1, "risk": {}}"#),
            "at /security/risk: a risk rule needs step_up, deny, or both",
        ),
    ] {
        assert_eq!(errors(text), [expected], "{text}");
    }
}

#[test]
fn a_later_format_is_refused() {
    let text = BANK.replacen("\"contract\": 1", "\"contract\": 2", 1);
    assert_eq!(errors(&text), ["at /contract: this version reads format 1, not 2; update stepup"]);
}

#[test]
fn every_mistake_is_reported_at_once() {
    let text = BANK
        .replace("\"mfa\"", "\"mfaa\"")
        .replace("\"max-age\": 0", "\"max-age\": -1")
        .replace("\"GET\"", "\"GTE\"")
        .replace("\"allow\"", "\"maybe\"");
    assert_eq!(errors(&text).len(), 4, "{:?}", errors(&text));
}

#[test]
fn a_mistake_is_reported_at_its_position_before_sorting() {
    let text = r#"{"contract": 1, "service": "s", "version": "1", "endpoints": [
        {"path": "/z", "security": {"step-up": false}},
        {"path": "/y", "security": {"step-up": true, "methods": ["mfa"], "acr": ["0"]}},
        {"path": "/a", "security": {"step-up": false}}
    ]}"#;
    let errors = Contract::parse(text).unwrap_err();
    assert_eq!(errors[0].pointer(), Some("/endpoints/1/security/acr/0"));

    let duplicate = text.replace("/y", "/z").replace(r#", "acr": ["0"]"#, "");
    let errors = Contract::parse(duplicate).unwrap_err();
    assert_eq!(errors[0].pointer(), Some("/endpoints/1"), "the second of the duplicates");

    let (contract, pointers) = Contract::located(text.replace(r#", "acr": ["0"]"#, "")).unwrap();
    let paths: Vec<&str> = contract.endpoints().iter().map(|e| e.path.as_str()).collect();
    assert_eq!(paths, ["/a", "/y", "/z"]);
    assert_eq!(pointers, ["/endpoints/2", "/endpoints/1", "/endpoints/0"]);
}

/// Wrong types are reported together. The rules are checked once all types are right.
#[test]
fn types_are_checked_before_rules() {
    let text = r#"{"contract": 1, "service": "s", "endpoints": [
        {"path": "a", "security": {"step-up": false}},
        {"path": "/b", "security": {"step-up": true}},
        {"path": "/c", "security": {"step-up": true, "acr": ["0"]}},
        {"method": "GETT", "path": "d", "security": {"step-up": false}}
    ]}"#;
    let pointers = |text: &str| {
        let errors = Contract::parse(text).unwrap_err();
        errors
            .iter()
            .map(|error| error.pointer().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(pointers(text), ["/version", "/endpoints/3/method"]);
    let typed = text.replace("GETT", "GET").replace("\"s\",", "\"s\", \"version\": \"1\",");
    assert_eq!(
        pointers(&typed),
        [
            "/endpoints/1/security/step-up",
            "/endpoints/0/path",
            "/endpoints/2/security/acr/0",
            "/endpoints/3/path",
        ]
    );
    let duplicate = r#"[{"path": "/a", "security": {"step-up": false}},
                        {"path": "/a", "security": {"step-up": false}}]"#;
    assert_eq!(pointers(duplicate), ["/1"]);
}
