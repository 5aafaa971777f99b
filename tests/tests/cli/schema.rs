//! The JSON Schema of contracts: the published file is current, and the schema agrees with the parser.

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use stepup_contract::{Contract, schema};
use stepup_tests::command::{run, stepup, workspace};
use stepup_tests::vectors::all;

#[test]
fn the_published_schema_is_current() {
    let rendered = run(stepup(), &["render", "schema"]);
    let published = fs::read(workspace().join("docs/contract.schema.json")).expect("the schema");
    assert!(
        rendered.stdout == published,
        "run `stepup render schema > docs/contract.schema.json`, review the change and commit it"
    );
}

/// Valid contracts with every field, and documents that are almost valid.
fn documents() -> Vec<Value> {
    let mut documents: Vec<Value> =
        all().iter().map(|vector| json!({"path": "/", "security": vector.requirement})).collect();
    let mfa = json!({"step-up": true, "methods": ["mfa"]});
    let complete = json!({
        "contract": 1, "service": "bank", "version": "1", "unlisted": "allow", "base": "/api",
        "x-owner": "payments", "endpoints": [
            {"method": "POST", "path": "/a/{id}", "trust": "sensitive", "handler": "a::b", "security": mfa},
            {"path": "/p", "trust": "public", "reason": "r", "summary": "s", "security": {"step-up": false}},
            {"path": "/b", "security": {"step-up": false, "scopes": ["s"], "bound": true, "x-note": 1}},
        ],
    });
    documents.push(complete.clone());
    documents.push(json!([]));
    let with = |pointer: &str, value: Option<Value>| {
        let mut document = complete.clone();
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        let parent =
            document.pointer_mut(parent).expect("a parent").as_object_mut().expect("an object");
        match value {
            Some(value) => parent.insert(name.to_owned(), value),
            None => parent.remove(name),
        };
        document
    };
    for pointer in ["/contract", "/service", "/version", "/endpoints", "/unlisted", "/base"] {
        documents.push(with(pointer, None));
        for odd in [json!(null), json!(2), json!("odd"), json!([1]), json!({})] {
            documents.push(with(pointer, Some(odd)));
        }
    }
    for (pointer, value) in [
        ("/endpoints/1/trust", json!("standard")),
        ("/endpoints/1/trust", json!("sensitive")),
        ("/endpoints/1/reason", json!(" ")),
        ("/endpoints/1/reason", json!("")),
        ("/endpoints/1/reason", json!(7)),
        ("/endpoints/1/summary", json!(7)),
        ("/endpoints/1/security", mfa.clone()),
        ("/endpoints/1/security", json!({"step-up": false, "bound": true})),
        ("/endpoints/1/security", json!({"step-up": false, "bound": false, "per-action": false})),
        ("/endpoints/1/security", json!({"step-up": false, "scopes": ["a"]})),
        ("/endpoints/2/trust", json!("public")),
    ] {
        documents.push(with(pointer, Some(value)));
    }
    for pointer in ["/endpoints/1/trust", "/endpoints/1/reason", "/endpoints/1/summary"] {
        documents.push(with(pointer, None));
    }
    for name in ["method", "path", "trust", "handler", "security", "unknown"] {
        let pointer = format!("/endpoints/0/{name}");
        documents.push(with(&pointer, None));
        for odd in [json!(null), json!(1), json!(["x"]), json!({})] {
            documents.push(with(&pointer, Some(odd)));
        }
    }
    for name in [
        "step-up",
        "methods",
        "any-methods",
        "acr",
        "max-age",
        "scopes",
        "risk",
        "bound",
        "per-action",
        "unknown",
    ] {
        for value in [
            json!(null),
            json!(true),
            json!(false),
            json!(0),
            json!(-1),
            json!(1.5),
            json!(4_294_967_295_u64),
            json!(4_294_967_296_u64),
            json!("mfa"),
            json!([]),
            json!(["mfa"]),
            json!(["mfa", "mfa"]),
            json!(["mfa", 1]),
            json!(["unknown method"]),
            json!(["custom:okta_verify"]),
            json!(["custom:"]),
            json!(["a b"]),
            json!([""]),
            json!(["0"]),
            json!(["\u{e9}"]),
            json!(["a\"b"]),
            json!({"step-up": "medium"}),
            json!({"deny": "high"}),
            json!({"deny": "odd"}),
            json!({}),
            json!({"step-up": "low", "deny": "high", "other": 1}),
        ] {
            documents.push(with(&format!("/endpoints/0/security/{name}"), Some(value.clone())));
            documents.push(with(&format!("/endpoints/1/security/{name}"), Some(value)));
        }
    }
    documents
}

/// Whether this error concerns a rule that the schema cannot express, so that only the parser checks it.
fn beyond_the_schema(error: &str) -> bool {
    ["contradicts security", "the path", "a base"].iter().any(|known| error.contains(known))
}

#[test]
#[ignore = "needs Python's jsonschema; tests/run installs it"]
fn the_schema_and_the_parser_accept_the_same_documents() {
    const VALIDATE: &str = "
import json, sys
from jsonschema import Draft202012Validator
schema, documents = json.load(open(sys.argv[1]))
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)
print(json.dumps([validator.is_valid(document) for document in documents]))
";
    let documents = documents();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("documents.json");
    fs::write(&file, json!([schema(), documents]).to_string()).expect("written");
    let output = run(Path::new("python3"), &["-c", VALIDATE, file.to_str().expect("text")]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let valid: Vec<bool> = serde_json::from_slice(&output.stdout).expect(&stderr);
    let (mut wrong, mut refused) = (Vec::new(), 0);
    for (document, valid) in documents.iter().zip(valid) {
        let parsed = Contract::parse(document.to_string());
        refused += usize::from(parsed.is_err());
        match parsed {
            Ok(_) if !valid => wrong.push(format!("rejects a valid contract: {document}")),
            Err(errors) if valid && !beyond_the_schema(&errors.to_string()) => {
                wrong.push(format!("accepts an invalid contract ({errors}): {document}"));
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "the schema\n{}", wrong.join("\n"));
    assert!(refused > 300, "only {refused} of {} documents are invalid", documents.len());
}
