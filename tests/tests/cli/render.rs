//! `stepup render`: the contract as OpenAPI, as a Markdown table and as an HTML page. The tests of the gateways cover
//! their configurations, and a test in a browser covers the page.

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use stepup_tests::command::{run, stepup};
use tempfile::TempDir;

fn contract() -> Value {
    json!({"contract": 1, "service": "bank", "version": "2", "base": "/api", "endpoints": [
        {"method": "POST", "path": "/transfers/{id}/cancel", "handler": "bank::cancel", "security": {
            "step-up": true, "methods": ["mfa"], "max-age": 300, "scopes": ["pay", "cancel"],
        }},
        {"method": "GET", "path": "/files/{*rest}", "security": {"step-up": false}},
        {"path": "/any", "security": {"step-up": true, "any-methods": ["hwk", "face"], "bound": true}},
    ]})
}

fn write_file(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).expect("a file");
    path
}

fn render(form: &str, contract: &Path, extra: &[&str]) -> Output {
    let contract = contract.to_str().expect("text");
    run(stepup(), &[&["render", form, contract], extra].concat())
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text")
}

#[test]
fn a_new_openapi_document_lists_every_endpoint_with_its_requirement() {
    let folder = tempfile::tempdir().expect("a folder");
    let contract = write_file(&folder, "contract.json", &contract().to_string());
    let document: Value =
        serde_json::from_str(&text(&render("openapi", &contract, &[]))).expect("JSON");
    assert_eq!(
        (&document["openapi"], &document["info"]["title"]),
        (&json!("3.1.0"), &json!("bank"))
    );
    let cancel = &document["paths"]["/api/transfers/{id}/cancel"];
    assert_eq!(cancel["parameters"][0]["name"], "id");
    assert_eq!(cancel["post"]["security"], json!([{"stepUp": ["pay", "cancel"]}]));
    assert_eq!(cancel["post"]["x-step-up"]["max-age"], 300);
    assert_eq!(cancel["post"]["responses"]["401"]["$ref"], "#/components/responses/StepUp401");
    let files = &document["paths"]["/api/files/{rest}"];
    assert_eq!(files["get"]["security"], json!([{"stepUp": []}]));
    let any = document["paths"]["/api/any"].as_object().expect("an object");
    assert_eq!(any.len(), 7, "every method: {any:?}");
    assert_eq!(document["components"]["securitySchemes"]["stepUp"]["scheme"], "bearer");
    let issuer = ["--issuer", "https://login.example/"];
    let document: Value =
        serde_json::from_str(&text(&render("openapi", &contract, &issuer))).expect("JSON");
    assert_eq!(
        document["components"]["securitySchemes"]["stepUp"]["openIdConnectUrl"],
        "https://login.example/.well-known/openid-configuration"
    );
}

const EXISTING: &str = r##"{
  "openapi": "3.0.3",
  "info": { "title": "Bank",   "version": "7" },
  "x-zebra": [1,   2.50, 1e3, "\u00e9"],
  "servers": [ { "url": "https://bank.example/api" } ],
  "security": [ { "key": [] } ],
  "paths": {
    "/transfers/{transferId}/cancel": {
      "summary": "A   transfer",
      "post": {
        "operationId": "cancel",
        "responses": { "204": { "description": "gone" }, "403": { "description": "ours" } }
      }
    },
    "/files/{path}": { "get": { "security": [ {}, { "key": [] } ], "responses": {} } },
    "/other": { "get": {   "responses": {} } }
  },
  "components": {
    "schemas": { "Z": {  "type": "string" }, "A": { "type": "integer" } },
    "securitySchemes": { "key": { "type": "apiKey", "in": "header", "name": "X-Key" } }
  },
  "tags": []
}
"##;

#[test]
fn the_rest_of_an_existing_document_is_unchanged() {
    let folder = tempfile::tempdir().expect("a folder");
    let contract = write_file(&folder, "contract.json", &contract().to_string());
    let existing = write_file(&folder, "openapi.json", EXISTING);
    let output = render("openapi", &contract, &["--into", existing.to_str().expect("text")]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("no operation for any method /api/any; nothing was added"), "{stderr}");
    let text = text(&output);
    let again = write_file(&folder, "again.json", &text);
    let again = render("openapi", &contract, &["--into", again.to_str().expect("text")]);
    assert_eq!(String::from_utf8_lossy(&again.stdout), text, "a second run adds nothing");
    // Lines with one member are unchanged, except for a trailing comma.
    let lines: Vec<&str> = text.lines().map(|line| line.trim_end_matches(',')).collect();
    let opened = [r#""responses": {"#, r#""/files/{path}": {"#, r#""schemas": {"#, "Schemes\": {"];
    let kept = EXISTING.lines().filter(|line| !opened.iter().any(|opened| line.contains(opened)));
    for line in kept.chain([r#"    "/other": { "get": {   "responses": {} } }"#]) {
        assert!(lines.contains(&line.trim_end_matches(',')), "{line} is not in\n{text}");
    }
    // The text of other members and their order are unchanged, including whitespace.
    for kept in [
        r#"{ "title": "Bank",   "version": "7" }"#,
        r#"[1,   2.50, 1e3, "\u00e9"]"#,
        r#"{ "get": {   "responses": {} } }"#,
        r#""A   transfer""#,
        r#"{  "type": "string" }"#,
    ] {
        assert!(text.contains(kept), "{kept} is not in\n{text}");
    }
    let order: Vec<usize> =
        ["\"x-zebra\"", "\"servers\"", "\"paths\"", "\"components\"", "\"tags\""]
            .map(|name| text.find(name).expect("the member"))
            .to_vec();
    assert!(order.is_sorted(), "{text}");

    let mut document: Value = serde_json::from_str(&text).expect("JSON");
    let cancel = document["paths"]["/transfers/{transferId}/cancel"]["post"].clone();
    // The document's global security scheme still applies, in addition to the token.
    assert_eq!(
        cancel["security"],
        json!([{"key": [], "stepUp": []}]),
        "OpenAPI 3.0 has no scopes for bearer tokens"
    );
    assert_eq!(cancel["responses"]["403"], json!({"description": "ours"}));
    let files = &document["paths"]["/files/{path}"]["get"]["security"];
    assert_eq!(
        files,
        &json!([{"stepUp": []}, {"key": [], "stepUp": []}]),
        "every alternative requires the token"
    );

    // Without the additions, the document equals the original.
    let mut original: Value = serde_json::from_str(EXISTING).expect("JSON");
    for (path, method) in [("/transfers/{transferId}/cancel", "post"), ("/files/{path}", "get")] {
        for document in [&mut document, &mut original] {
            let operation = document["paths"][path][method].as_object_mut().expect("an operation");
            operation.remove("security");
            operation.remove("x-step-up");
            let responses = operation["responses"].as_object_mut().expect("responses");
            responses.retain(|_, response| response.get("$ref").is_none());
        }
    }
    let components = document["components"].as_object_mut().expect("components");
    components.remove("responses");
    components["securitySchemes"].as_object_mut().expect("schemes").remove("stepUp");
    components["schemas"].as_object_mut().expect("schemas").remove("StepUpProblem");
    assert_eq!(document, original);
}

#[test]
fn an_invalid_openapi_document_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let contract = write_file(&folder, "contract.json", &contract().to_string());
    for (document, expected) in [
        ("{", "EOF while parsing"),
        (r#"{"swagger": "2.0"}"#, "not an OpenAPI 3 document: its `openapi` is missing"),
        (r#"{"openapi": "3.1.0", "paths": []}"#, "openapi.json: `paths` is not a JSON object"),
    ] {
        let existing = write_file(&folder, "openapi.json", document);
        let output = render("openapi", &contract, &["--into", existing.to_str().expect("text")]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(expected) && output.stdout.is_empty(), "{error}");
    }
}

#[test]
#[ignore = "needs openapi-spec-validator; tests/run installs it"]
fn a_validator_accepts_the_documents() {
    let folder = tempfile::tempdir().expect("a folder");
    let contract = write_file(&folder, "contract.json", &contract().to_string());
    let existing = write_file(&folder, "openapi.json", EXISTING);
    let new = text(&render("openapi", &contract, &[]));
    let into = text(&render("openapi", &contract, &["--into", existing.to_str().expect("text")]));
    for (name, document) in [("new.json", new), ("into.json", into)] {
        let mut parsed: Value = serde_json::from_str(&document).expect("JSON");
        if name == "into.json" {
            // The fixture is invalid in other places: it declares no parameters and has empty responses.
            let path = "/transfers/{transferId}/cancel";
            let mut cancel = parsed["paths"][path].clone();
            cancel["parameters"] = json!([{
                "name": "transferId", "in": "path", "required": true, "schema": {"type": "string"},
            }]);
            parsed["paths"] = json!({path: cancel});
        }
        let file = write_file(&folder, name, &parsed.to_string());
        let validated = run(Path::new("openapi-spec-validator"), &[file.to_str().expect("text")]);
        let stdout = String::from_utf8_lossy(&validated.stdout).into_owned();
        assert!(validated.status.success(), "{name}: {stdout}");
        assert!(stdout.contains("OK"), "{stdout}");
    }
}

#[test]
fn no_operation_hides_a_stricter_endpoint_or_overwrites_foreign_members() {
    let folder = tempfile::tempdir().expect("a folder");
    let mfa = json!({"step-up": true, "methods": ["mfa"]});
    let list = json!([
        {"method": "GET", "path": "/f/{*rest}", "security": mfa},
        {"method": "GET", "path": "/f/{id}", "security": {"step-up": false}},
        {"path": "/any", "security": mfa},
        {"method": "GET", "path": "/any", "security": {"step-up": false}},
    ]);
    let contract = write_file(&folder, "contract.json", &list.to_string());
    let output = render("openapi", &contract, &[]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("no operation for GET /f/{id}; nothing was added"), "{stderr}");
    let first = text(&output);
    let document: Value = serde_json::from_str(&first).expect("JSON");
    let requirement =
        |path: &str, method: &str| document["paths"][path][method]["x-step-up"].clone();
    assert_eq!(requirement("/f/{rest}", "get"), mfa);
    assert_eq!(requirement("/any", "get"), json!({"step-up": false}));
    assert_eq!(requirement("/any", "post"), mfa);

    // A second run replaces Step-up's own members only.
    let again = write_file(&folder, "again.json", &first);
    let into =
        |path: &Path| render("openapi", &contract, &["--into", path.to_str().expect("text")]);
    assert!(into(&again).status.success());
    let foreign = write_file(
        &folder,
        "foreign.json",
        r#"{"openapi": "3.1.0", "components": {"securitySchemes": {"stepUp": {"type": "apiKey"}}}}"#,
    );
    let refused = into(&foreign);
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("components.securitySchemes.stepUp exists and was not added by Step-up"),
        "{stderr}"
    );
}

/// An operation shows the requirement that is enforced for its requests.
#[test]
fn an_operation_has_the_requirement_of_the_endpoint_that_matches_its_requests() {
    let folder = tempfile::tempdir().expect("a folder");
    let mfa = json!({"step-up": true, "methods": ["mfa"]});
    let aged = json!({"step-up": true, "max-age": 86400});
    let list = json!([
        {"path": "/a/{x}", "security": mfa},
        {"method": "GET", "path": "/a/{*rest}", "security": {"step-up": false}},
        {"method": "GET", "path": "/b/{x}", "security": mfa},
        {"method": "GET", "path": "/b/{*rest}", "security": aged},
        {"path": "/users/{id}", "security": mfa},
        {"method": "GET", "path": "/pay", "security": mfa},
    ]);
    let contract = write_file(&folder, "contract.json", &list.to_string());
    let output = render("openapi", &contract, &[]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("no operation for GET /a/{*rest}"), "{stderr}");
    let requirement = |document: &Value, path: &str, method: &str| {
        document["paths"][path][method]["x-step-up"].clone()
    };
    let new: Value = serde_json::from_str(&text(&output)).expect("JSON");
    let named = |start: &str| {
        let mut names = new["paths"].as_object().expect("paths").keys();
        names.find(|name| name.starts_with(start)).expect("a path").clone()
    };
    assert_eq!(requirement(&new, &named("/a/"), "get"), mfa);
    assert_eq!(requirement(&new, &named("/b/"), "get"), mfa);

    let open = json!({"security": [], "responses": {}});
    let existing = json!({"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {
        "/pay": {"get": open, "head": open}, "/users/{id}": {"get": open, "trace": open},
        "/users/me": {"get": open},
    }});
    let existing = write_file(&folder, "openapi.json", &existing.to_string());
    let output = render("openapi", &contract, &["--into", existing.to_str().expect("text")]);
    let into: Value = serde_json::from_str(&text(&output)).expect("JSON");
    for (path, method) in [
        ("/pay", "get"),
        ("/pay", "head"),
        ("/users/{id}", "get"),
        ("/users/{id}", "trace"),
        ("/users/me", "get"),
    ] {
        assert_eq!(requirement(&into, path, method), mfa, "{method} {path}");
        let security = &into["paths"][path][method]["security"];
        assert_eq!(security, &json!([{"stepUp": []}]), "{method} {path}");
    }
}

#[test]
fn the_table_lists_the_requirement_of_each_endpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let contract = write_file(&folder, "contract.json", &contract().to_string());
    let table = text(&render("markdown", &contract, &[]));
    for line in [
        "# The step-up contract of bank 2",
        "Requests that match no endpoint are ",
        "| POST | `/api/transfers/{id}/cancel` | mfa, login at most 5 min old, scope pay and cancel | `bank::cancel` |",
        "| any | `/api/any` | bound token, hwk or face |  |",
        "| GET | `/api/files/{*rest}` |  |  |",
    ] {
        assert!(table.contains(line), "{line} is not in\n{table}");
    }
}

#[test]
fn a_viewer_displays_known_fields_and_lists_unknown_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut newer = contract();
    newer["endpoints"][0]["security"]["voice-print"] = json!("<b>");
    let newer = write_file(&folder, "contract.json", &newer.to_string());
    let unknown = "/endpoints/0/security/voice-print";
    for form in ["html", "markdown", "openapi"] {
        let output = render(form, &newer, &[]);
        let warning = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(warning.starts_with("warning: "), "{form}: {warning}");
        assert!(warning.contains(&format!("contract.json:1: at {unknown}: unknown")), "{warning}");
        let text = text(&output);
        assert!(text.contains("transfers/"), "{form}");
        assert_eq!(
            text.contains(&format!("not displayed: {unknown}")),
            form != "openapi",
            "{text}"
        );
        if form == "openapi" {
            let document: Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(document["x-step-up-not-shown"], json!([unknown]));
        }
    }
    // A gateway configuration without an unknown field would enforce less. `--since` could miss a change of that field.
    let since = newer.to_str().expect("text");
    for (form, extra) in
        [("nginx", [].as_slice()), ("caddy", &[]), ("envoy", &[]), ("html", &["--since", since])]
    {
        let output = render(form, &newer, extra);
        assert_eq!(output.status.code(), Some(2), "{form}");
        assert!(output.stdout.is_empty(), "{form}");
    }
}

#[test]
fn the_configuration_states_the_listen_flag_for_a_gateway_with_a_host_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let contract = write_file(&folder, "contract.json", &contract().to_string());
    for (form, mode) in [("nginx", "nginx"), ("caddy", "forward-auth"), ("envoy", "envoy-grpc")] {
        let config = text(&render(form, &contract, &["--gateway", "null:9001"]));
        assert!(
            config.contains(&format!("null:9001 is `stepup gateway --listen {mode}=0.0.0.0:9001`"))
        );
        assert!(form != "envoy" || config.contains("address: \"null\", port_value: 9001"));
    }
}

#[test]
fn a_public_endpoint_is_displayed_with_its_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let contract = json!([
        {"method": "POST", "path": "/hook", "trust": "public", "reason": "signed by <Stripe>",
         "summary": "Receives events.", "security": {"step-up": false}},
        {"method": "GET", "path": "/me", "summary": "The caller.", "security": {"step-up": false}},
    ]);
    let contract = write_file(&folder, "contract.json", &contract.to_string());
    let page = text(&render("html", &contract, &[]));
    assert!(
        page.contains("signed by &lt;Stripe&gt;") && page.contains("Receives events."),
        "{page}"
    );
    assert!(page.contains("<dt>public</dt><dd>1</dd>"), "{page}");
    assert!(page.contains("A router without either of them"), "{page}");
    let table = text(&render("markdown", &contract, &[]));
    let row = "| POST | `/hook` | signed by &lt;Stripe> |  | Receives events. |";
    assert!(table.contains("## Public") && table.contains(row), "{table}");
    let document: Value =
        serde_json::from_str(&text(&render("openapi", &contract, &[]))).expect("JSON");
    let hook = &document["paths"]["/hook"]["post"];
    assert_eq!((&hook["security"], &hook["summary"]), (&json!([]), &json!("Receives events.")));
    assert_eq!(hook["x-step-up"]["reason"], "signed by <Stripe>");
    let me = &document["paths"]["/me"]["get"];
    assert_eq!(
        (&me["security"], &me["summary"]),
        (&json!([{"stepUp": []}]), &json!("The caller."))
    );
    // A document from before the endpoint was public.
    let before = json!({
        "openapi": "3.1.0", "paths": {"/hook": {"post": {
            "security": [{"signature": [], "stepUp": []}], "responses": {},
        }}},
    });
    let before = write_file(&folder, "openapi.json", &before.to_string());
    let into = text(&render("openapi", &contract, &["--into", before.to_str().expect("text")]));
    let into: Value = serde_json::from_str(&into).expect("JSON");
    assert_eq!(into["paths"]["/hook"]["post"]["security"], json!([{"signature": []}]));
    // An endpoint that is not public any more requires what the whole document requires, and the token.
    let document = json!({
        "openapi": "3.1.0", "security": [{"apiKey": []}],
        "paths": {"/hook": {"post": {"responses": {}}}},
    });
    let document = write_file(&folder, "openapi.json", &document.to_string());
    let public = text(&render("openapi", &contract, &["--into", document.to_str().expect("text")]));
    let document = write_file(&folder, "openapi.json", &public);
    let standard = json!([{"method": "POST", "path": "/hook", "security": {"step-up": false}}]);
    let standard = write_file(&folder, "standard.json", &standard.to_string());
    let into = text(&render("openapi", &standard, &["--into", document.to_str().expect("text")]));
    let into: Value = serde_json::from_str(&into).expect("JSON");
    let security = &into["paths"]["/hook"]["post"]["security"];
    assert_eq!(*security, json!([{"apiKey": [], "stepUp": []}]), "{into}");
}

#[test]
fn a_form_can_be_written_to_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let contract = write_file(&folder, "contract.json", &contract().to_string());
    let file = folder.path().join("contract.md");
    let file = file.to_str().expect("text");
    let output = render("markdown", &contract, &["-o", file]);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    let written = std::fs::read_to_string(file).expect("the file");
    assert_eq!(written, text(&render("markdown", &contract, &[])));
    let missing = folder.path().join("missing/contract.md");
    let output = render("markdown", &contract, &["-o", missing.to_str().expect("text")]);
    assert_eq!(output.status.code(), Some(2));
}
