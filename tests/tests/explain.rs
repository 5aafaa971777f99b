//! `stepup explain`: the decision, step by step, and what cures it.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::fs;
use std::process::Output;
use stepup_runtime::testing::{AUDIENCE, TestAlgorithm, TestHolder, TestIssuer};
use stepup_tests::command::{run, stepup};
use stepup_tests::gateways::settings_of;
use stepup_tests::vectors::all;
use tempfile::TempDir;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("a file");
    }
    folder
}

/// Runs it on `contract.json` of this folder; what stands in angle brackets is a file there.
fn explain(folder: &TempDir, arguments: &[&str]) -> Output {
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let mut all = vec!["explain".to_owned(), at("contract.json")];
    all.extend(arguments.iter().map(|argument| {
        let file = argument.strip_prefix('<').and_then(|name| name.strip_suffix('>'));
        file.map_or((*argument).to_owned(), at)
    }));
    run(stepup(), &all.iter().map(String::as_str).collect::<Vec<_>>())
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn contract() -> String {
    json!({"contract": 1, "service": "bank", "version": "1", "endpoints": [
        {"method": "POST", "path": "/approve-transaction", "handler": "bank::approve", "security": {
            "step-up": true, "methods": ["mfa"], "max-age": 300, "scopes": ["pay"],
        }},
        {"method": "GET", "path": "/me", "security": {"step-up": false}},
    ]})
    .to_string()
}

#[test]
fn each_step_is_told_in_the_order_of_the_decision_and_then_the_cure() {
    let claims = json!({
        "iss": "https://login.example", "aud": "api", "sub": "alice", "exp": 1_800_000_600,
        "amr": ["pwd"], "auth_time": 1_799_999_000, "scope": "pay view",
    });
    let folder = folder(&[("contract.json", &contract()), ("claims", &claims.to_string())]);
    let arguments =
        ["POST", "/approve-transaction?x=1", "--claims", "<claims>", "--now", "1800000000"];
    let output = explain(&folder, &arguments);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        said(&output),
        "NOT VERIFIED: the claims may be made up; add --verify with --issuer, --audience and --token to \
         check them\n\
         request: matches POST /approve-transaction, bank::approve\n\
         credential: exactly one\n\
         token: iss \"https://login.example\", aud \"api\", sub \"alice\", expires in 600 s\n\
         vocabulary: the default; the issuer https://login.example is not in the settings\n\
         bound: not required\n\
         session: not examined here\n\
         issuer: satisfied; required: step-up allowed; received: allowed\n\
         risk: not required\n\
         methods: NOT satisfied; required: all of mfa; received: pwd proven\n\
         any-methods: not required\n\
         acr: not required\n\
         max-age: NOT satisfied; required: at most 300 s; received: authenticated 1000 s ago\n\
         scopes: satisfied; required: all of pay; received: pay, view\n\
         per-action: not required\n\
         refused; to cure it, request a token with acr_values=\"mfa\" max_age=300 scope=\"pay\"\n"
    );
}

#[test]
fn it_agrees_with_every_vector() {
    let folder = folder(&[]);
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
    let (mut cured, mut without_cure) = (0, 0);
    for vector in all().into_iter().filter(|vector| vector.risk.is_none()) {
        let issuer = settings_of("https://login.example", "api", &vector.vocabulary);
        let mut settings = toml::Table::new();
        settings.insert("issuers".into(), vec![issuer].into());
        file("stepup.toml", &settings.to_string());
        let mut claims = vector.claims.clone();
        claims.insert("iss".into(), "https://login.example".into());
        claims.entry("sub").or_insert_with(|| "alice".into());
        claims.entry("aud").or_insert_with(|| "api".into());
        file("claims", &Value::Object(claims).to_string());
        let endpoint = json!({"path": "/", "security": vector.requirement});
        file("contract.json", &endpoint.to_string());
        let now = vector.now.to_string();
        let arguments =
            ["GET", "/", "--claims", "<claims>", "--config", "<stepup.toml>", "--now", &now];
        let output = explain(&folder, &arguments);
        // What cannot be enforced yet refuses every request.
        let allowed = vector.expect["decision"] == "allow" && !vector.comes_later();
        let text = said(&output);
        assert_eq!(output.status.code(), Some(i32::from(!allowed)), "{}: {text}", vector.name);
        if let Some(acr_values) = vector.expect["challenge"]["acr_values"].as_str()
            && !vector.comes_later()
        {
            let cure = format!("acr_values={acr_values:?}");
            let hopeless = text.contains("no login at this issuer cures it: ");
            assert!(hopeless || text.contains(&cure), "{}: {text}", vector.name);
            cured += usize::from(!hopeless);
            without_cure += usize::from(hopeless);
        }
    }
    assert!(cured >= 100 && without_cure >= 1, "{cured} {without_cure}");
}

/// What is called a cure is one: no login is asked for that would be refused again.
#[test]
fn what_no_login_cures_is_said() {
    let asking = |security: Value| json!({"path": "/a", "security": security}).to_string();
    let folder = folder(&[
        (
            "claims",
            r#"{"sub": "a", "amr": ["pwd"], "auth_time": 1, "iss": "https://a.example", "aud": "api"}"#,
        ),
        (
            "group",
            &asking(json!({"step-up": true, "methods": ["phishing_resistant"], "acr": ["gold"]})),
        ),
        ("at-once", &asking(json!({"step-up": true, "max-age": 0}))),
        ("bound", &asking(json!({"step-up": false, "bound": true}))),
        ("mfa", &asking(json!({"step-up": true, "methods": ["mfa"]}))),
    ]);
    for (contract, more, text) in [
        ("group", &[][..], "no login at this issuer cures it: "),
        (
            "group",
            &["--proves", "gold=phishing_resistant"],
            "to cure it, request a token with acr_values=\"gold\"",
        ),
        ("at-once", &[], "max_age=0 (which has passed"),
        ("bound", &[], "to cure it, request a token that is bound to a key"),
        (
            "mfa",
            &["--may-not-step-up"],
            "users of this issuer may not step up; no login can cure that",
        ),
        ("mfa", &["-H", "DPoP: x"], "as Bearer, since the token is bound to no key"),
        ("mfa", &["-H", "X_Step_Up_Subject: x"], "refuses it with 400, since a service could take"),
        (
            "mfa",
            &["-H", "DPoP: x", "--dpop-required"],
            "401: the token is not bound to a key, as its issuer's must be",
        ),
    ] {
        let contract = folder.path().join(contract);
        let claims = folder.path().join("claims");
        let [contract, claims] = [&contract, &claims].map(|path| path.to_str().expect("text"));
        let arguments = ["explain", contract, "GET", "/a", "--claims", claims];
        let issuer = ["--issuer", "https://a.example", "--audience", "api"];
        let output = run(stepup(), &[&arguments[..], &issuer, more].concat());
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(text), "{told}");
    }
}

#[test]
fn what_only_a_gateway_refuses_is_said_of_every_request() {
    let open = json!({"contract": 1, "service": "s", "version": "1", "unlisted": "allow", "endpoints": []});
    let folder = folder(&[("contract", &open.to_string()), ("claims", "{}")]);
    let [contract, claims] = ["contract", "claims"].map(|name| folder.path().join(name));
    let [contract, claims] = [&contract, &claims].map(|path| path.to_str().expect("text"));
    let arguments = ["explain", contract, "GET", "/a", "--claims", claims, "-H"];
    for (header, refused) in [("X_Step_Up_Subject: x", true), ("X-Other: x", false)] {
        let output = run(stepup(), &[&arguments[..], &[header]].concat());
        let told = said(&output);
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert_eq!(told.contains("gateway: stepup gateway refuses it with 400"), refused, "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_verified_as_the_program_does() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let strong = idp.token().claim("amr", json!(["mfa"])).claim("scope", "pay").mint();
    let weak = idp.password_token();
    // Of the last character four bits count only: exchanged for another, it may say the same signature.
    let signature = strong.rfind('.').expect("a signature") + 1;
    let other = if strong[signature..].starts_with('A') { 'B' } else { 'A' };
    let forged = format!("{}{other}{}", &strong[..signature], &strong[signature + 1..]);
    let files = [("contract.json", &*contract()), ("strong", &strong), ("weak", &weak)];
    let folder = folder(&files);
    fs::write(folder.path().join("forged"), forged).expect("a file");
    for (token, code, text) in [
        ("<strong>", 0, "token: verified"),
        ("<weak>", 1, "methods: NOT satisfied"),
        ("<forged>", 1, "token: not accepted"),
    ] {
        let output = explain(
            &folder,
            &[
                "POST",
                "/approve-transaction",
                "--token",
                token,
                "--verify",
                "--issuer",
                idp.url(),
                "--audience",
                AUDIENCE,
            ],
        );
        let told = said(&output);
        assert!(!told.contains("NOT VERIFIED"), "{told}");
        assert!(told.contains(text), "{told}");
        assert_eq!(output.status.code(), Some(code), "{told}");
    }
}

#[test]
fn what_no_endpoint_takes_and_what_cannot_be_read_is_told() {
    let opaque = "opaque-token";
    let of_issuer = |issuer: &'static str, audience: &'static str, more: &[&'static str]| {
        let claims =
            ["GET", "/me", "--claims", "<named>", "--issuer", issuer, "--audience", audience];
        [&claims[..], more].concat()
    };
    // Cognito names the audience in another claim.
    let client = |provider: &'static str| {
        let claims = ["GET", "/me", "--claims", "<of-a-client>", "--audience", "api"];
        [&claims[..], &["--issuer", "https://a.example", "--provider", provider]].concat()
    };
    let jwt = |header: &str| {
        let claims = r#"{"sub":"a","iss":"https://a.example","aud":"api","exp":99999999999}"#;
        [header, claims, "signature"].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
    };
    let token = |file: &'static str, more: &[&'static str]| {
        let token = ["GET", "/me", "--token", file, "--issuer", "https://a.example"];
        [&token[..], &["--audience", "api"], more].concat()
    };
    let folder = folder(&[
        ("contract.json", &contract()),
        ("claims", "{\"sub\": \"a\"}"),
        ("nobody", "{}"),
        ("settings", "[[issuers]]\nissuer = \"https://a.example\"\naudience = \"other\"\n"),
        ("inactive", "{\"sub\": \"a\", \"active\": false}"),
        ("certificate", "{\"sub\": \"a\", \"cnf\": {\"x5t#S256\": \"x\"}}"),
        ("named", "{\"sub\": \"a\", \"iss\": \"https://a.example\", \"aud\": [\"api\"]}"),
        ("of-a-client", "{\"sub\": \"a\", \"iss\": \"https://a.example\", \"client_id\": \"api\"}"),
        ("strange", "{\"sub\": \"a\", \"iss\": \"https://b.example\", \"aud\": \"other\"}"),
        ("ended", "{\"sub\": \"a\", \"exp\": 1}"),
        ("odd", "{\"sub\": \"a\", \"exp\": \"soon\"}"),
        ("early", "{\"sub\": \"a\", \"nbf\": 99999999999}"),
        ("endless", "e30.eyJzdWIiOiJhIn0.AA"),
        ("opaque", opaque),
        ("access", &jwt(r#"{"alg":"RS256","typ":"at+jwt"}"#)),
        ("identity", &jwt(r#"{"alg":"RS256","typ":"JWT"}"#)),
        ("unsigned", &jwt(r#"{"alg":"none","typ":"at+jwt"}"#)),
        (
            "twice",
            "[[issuers]]\nissuer = \"https://a.example\"\naudience = \"a\"\n\
                    [[issuers]]\nissuer = \"https://a.example\"\naudience = \"b\"\n",
        ),
    ]);
    for (arguments, code, text) in [
        (&["GET", "/other", "--claims", "<claims>"][..], 1, "matches no endpoint"),
        (&["GET", "/a/../me", "--claims", "<claims>"], 1, "refused with 400"),
        (&["GET", "/me?access_token=x", "--claims", "<claims>"], 1, "and one in the query"),
        (
            &["GET", "/me", "--claims", "<claims>", "-H", "Authorization: Bearer x"],
            1,
            "credential: refused with 400: the Authorization header stands more than once",
        ),
        (
            &["GET", "/me", "--claims", "<claims>", "-H", "X-HTTP-Method-Override: POST"],
            1,
            "request: refused with 400: the request names a second HTTP method",
        ),
        (&["GET", "/me?_method=POST", "--claims", "<claims>"], 1, "names a second HTTP method"),
        (
            &[
                "OPTIONS",
                "/me",
                "--claims",
                "<claims>",
                "-H",
                "Origin: https://app.example",
                "-H",
                "Access-Control-Request-Method: GET",
            ],
            0,
            "a CORS preflight",
        ),
        (&["GET", "/me", "--claims", "<claims>", "-H", "Origin"], 2, "Name: value"),
        (&["GET", "/me", "--claims", "<claims>"], 0, "allowed"),
        (&["GET", "/me", "--claims", "<nobody>"], 1, "401: the token names no subject"),
        (&["GET", "/me", "--claims", "<inactive>"], 1, "401: the token is not active"),
        (&["GET", "/me", "--claims", "<certificate>"], 1, "in a way that cannot be checked here"),
        (&of_issuer("https://a.example", "api", &[]), 0, "allowed"),
        (&of_issuer("https://b.example", "api", &[]), 1, "401: the token is of another issuer"),
        (
            &of_issuer("https://a.example", "other", &[]),
            1,
            "401: the token is for another audience",
        ),
        (&of_issuer("https://a.example", "api", &["--dpop-required"]), 1, "not bound to a key"),
        (&client("standard"), 1, "401: the token is for another audience"),
        (&client("cognito"), 0, "allowed"),
        (
            &["GET", "/me", "--claims", "<named>", "--config", "<settings>"],
            1,
            "401: the token is for another audience",
        ),
        (
            &["GET", "/me", "--claims", "<strange>", "--config", "<settings>"],
            1,
            "401: the token is of another issuer",
        ),
        (&token("<access>", &[]), 0, "allowed"),
        (&token("<identity>", &[]), 1, "401: the token is not an access token"),
        (&token("<identity>", &["--allow-untyped-tokens"]), 1, "not marked as an access token"),
        (&token("<unsigned>", &[]), 1, "401: the token's algorithm is not accepted"),
        (
            &["GET", "/me", "--claims", "<named>", "--config", "<twice>"],
            2,
            "the issuer \"https://a.example\" stands twice",
        ),
        (&["GET", "/me", "--token", "<opaque>"], 2, "not a JWT; for an opaque token, pass"),
        (&["GET", "/me", "--claims", "<ended>"], 1, "401: the token has expired"),
        (&["GET", "/me", "--claims", "<odd>"], 1, "401: a date in the token is not a number"),
        (&["GET", "/me", "--claims", "<early>"], 1, "401: the token is not valid yet"),
        (&["GET", "/me", "--token", "<endless>"], 1, "401: the token never expires"),
        (&["GET", "/me#x", "--claims", "<claims>"], 1, "400: the request's target cannot be read"),
        (
            &["GET", "/me?a=1#x", "--claims", "<claims>"],
            1,
            "400: the request's target cannot be read",
        ),
        (&["GET", "me", "--claims", "<claims>"], 1, "400: the request's target cannot be read"),
        (&["GET", "/me", "--claims", "<claims>", "--verify"], 2, "cannot be used with"),
        (&["GET", "/me", "--claims", "<none>"], 2, "No such file"),
        (&["GET", "/me"], 2, "--token <FILE>"),
    ] {
        let output = explain(&folder, arguments);
        let all = format!("{}{}", said(&output), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{all}");
        assert!(all.contains(text), "{all}");
        // What was not verified says so first, whatever else it says.
        assert!(code == 2 || all.starts_with("NOT VERIFIED"), "{all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_is_verified_with_its_proof() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let holder = TestHolder::new(TestAlgorithm::Es256).expect("a key");
    let token = idp
        .token()
        .claim("amr", json!(["mfa"]))
        .claim("scope", "pay")
        .claim("cnf", json!({"jkt": holder.thumbprint()}))
        .mint();
    let folder = folder(&[("contract.json", &contract()), ("token", &token)]);
    let proof = |path: &str| {
        let url = format!("https://api.example{path}");
        format!("DPoP: {}", holder.proof("POST", &url, &token).sign())
    };
    for (header, code, text) in [
        (proof("/approve-transaction"), 0, "token: verified"),
        (proof("/other"), 1, "token: not accepted: "),
        ("X-None: 1".to_owned(), 1, "token: not accepted: "),
    ] {
        let mut arguments = vec!["POST", "/approve-transaction", "--token", "<token>", "--verify"];
        arguments.extend(["--issuer", idp.url(), "--audience", AUDIENCE]);
        arguments.extend(["--resource", "https://api.example", "--header", &header]);
        let output = explain(&folder, &arguments);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.contains(text), "{told}");
    }
}
