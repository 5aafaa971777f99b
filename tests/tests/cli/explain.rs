//! `stepup explain`: each step of the decision, and how to recover from a refusal.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::fs;
use std::process::Output;
use stepup_runtime::testing::{AUDIENCE, TestAlgorithm, TestHolder, TestIssuer};
use stepup_tests::command::{run, stepup};
use stepup_tests::gateways::issuer_settings;
use stepup_tests::vectors::all;
use tempfile::TempDir;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("a file");
    }
    folder
}

/// Runs `stepup explain` on `contract.json` in this folder. An argument in angle brackets names a file in the folder.
fn explain(folder: &TempDir, arguments: &[&str]) -> Output {
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let mut all = vec!["explain".to_owned(), path("contract.json")];
    all.extend(arguments.iter().map(|argument| {
        let file = argument.strip_prefix('<').and_then(|name| name.strip_suffix('>'));
        file.map_or((*argument).to_owned(), path)
    }));
    run(stepup(), &all.iter().map(String::as_str).collect::<Vec<_>>())
}

fn stdout(output: &Output) -> String {
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
fn each_step_is_printed_in_the_order_of_the_decision_before_the_recovery() {
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
        stdout(&output),
        "NOT VERIFIED: the claims may be made up; add --verify with --issuer, --audience and --token to \
         check them\n\
         request: matches POST /approve-transaction, bank::approve\n\
         credential: exactly one\n\
         token: iss \"https://login.example\", aud \"api\", sub \"alice\", expires in 600 s\n\
         vocabulary: the default; the issuer https://login.example is not in the settings\n\
         bound: not required\n\
         session: not checked here\n\
         issuer: satisfied; required: step-up allowed; received: allowed\n\
         risk: not required\n\
         methods: NOT satisfied; required: all of mfa; received: pwd proven\n\
         any-methods: not required\n\
         acr: not required\n\
         max-age: NOT satisfied; required: at most 300 s; received: authenticated 1000 s ago\n\
         scopes: satisfied; required: all of pay; received: pay, view\n\
         per-action: not required\n\
         refused; to recover, request a token with acr_values=\"mfa\" max_age=300 scope=\"pay\"\n"
    );
}

#[test]
fn explain_agrees_with_every_test_vector() {
    let folder = folder(&[]);
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
    let (mut recoverable, mut unrecoverable) = (0, 0);
    for vector in all().into_iter().filter(|vector| vector.risk.is_none()) {
        let issuer = issuer_settings("https://login.example", "api", &vector.vocabulary);
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
        // A requirement that cannot be enforced yet refuses every request.
        let allowed = vector.expect["decision"] == "allow" && !vector.requirement.per_action;
        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(i32::from(!allowed)), "{}: {text}", vector.name);
        if let Some(acr_values) = vector.expect["challenge"]["acr_values"].as_str()
            && !vector.requirement.per_action
        {
            let recovery = format!("acr_values={acr_values:?}");
            let no_login_helps = text.contains("no login at this issuer helps: ");
            assert!(no_login_helps || text.contains(&recovery), "{}: {text}", vector.name);
            recoverable += usize::from(!no_login_helps);
            unrecoverable += usize::from(no_login_helps);
        }
    }
    assert!(recoverable >= 100 && unrecoverable >= 1, "{recoverable} {unrecoverable}");
}

/// `explain` suggests a login only if a token from such a login would be allowed.
#[test]
fn explain_reports_when_no_login_can_satisfy_the_endpoint() {
    let endpoint = |security: Value| json!({"path": "/a", "security": security}).to_string();
    let folder = folder(&[
        (
            "claims",
            r#"{"sub": "a", "amr": ["pwd"], "auth_time": 1, "iss": "https://a.example", "aud": "api"}"#,
        ),
        (
            "group",
            &endpoint(json!({"step-up": true, "methods": ["phishing_resistant"], "acr": ["gold"]})),
        ),
        ("at-once", &endpoint(json!({"step-up": true, "max-age": 0}))),
        ("bound", &endpoint(json!({"step-up": false, "bound": true}))),
        ("mfa", &endpoint(json!({"step-up": true, "methods": ["mfa"]}))),
    ]);
    for (contract, more, text) in [
        ("group", &[][..], "no login at this issuer helps: "),
        (
            "group",
            &["--proves", "gold=phishing_resistant"],
            "to recover, request a token with acr_values=\"gold\"",
        ),
        ("at-once", &[], "max_age=0 (which has passed"),
        ("bound", &[], "to recover, request a token that is bound to a key"),
        ("mfa", &["--may-not-step-up"], "users of this issuer may not step up; no login helps"),
        ("mfa", &["-H", "DPoP: x"], "as Bearer"),
        (
            "mfa",
            &["-H", "X_Step_Up_Subject: x"],
            "refuses the request with 400, because a service could mistake",
        ),
        ("mfa", &["-H", "DPoP: x", "--dpop-required"], "401: the token must be bound to a key"),
    ] {
        let contract = folder.path().join(contract);
        let claims = folder.path().join("claims");
        let [contract, claims] = [&contract, &claims].map(|path| path.to_str().expect("text"));
        let arguments = ["explain", contract, "GET", "/a", "--claims", claims];
        let issuer = ["--issuer", "https://a.example", "--audience", "api"];
        let output = run(stepup(), &[&arguments[..], &issuer, more].concat());
        let printed = stdout(&output);
        assert_eq!(output.status.code(), Some(1), "{printed}");
        assert!(printed.contains(text), "{printed}");
    }
}

#[test]
fn headers_that_only_the_gateway_refuses_are_reported_for_unlisted_requests() {
    let open = json!({"contract": 1, "service": "s", "version": "1", "unlisted": "allow", "endpoints": []});
    let folder = folder(&[("contract", &open.to_string()), ("claims", "{}")]);
    let [contract, claims] = ["contract", "claims"].map(|name| folder.path().join(name));
    let [contract, claims] = [&contract, &claims].map(|path| path.to_str().expect("text"));
    let arguments = ["explain", contract, "GET", "/a", "--claims", claims, "-H"];
    for (header, refused) in [("X_Step_Up_Subject: x", true), ("X-Other: x", false)] {
        let output = run(stepup(), &[&arguments[..], &[header]].concat());
        let printed = stdout(&output);
        assert_eq!(output.status.code(), Some(0), "{printed}");
        assert_eq!(
            printed.contains("gateway: stepup gateway refuses the request with 400"),
            refused,
            "{printed}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_verifies_a_token_as_the_program_does() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let strong = idp.token().claim("amr", json!(["mfa"])).claim("scope", "pay").mint();
    let weak = idp.password_token();
    // Changes the first character. The last one has unused bits, so another character could encode the same signature.
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
        let printed = stdout(&output);
        assert!(!printed.contains("NOT VERIFIED"), "{printed}");
        assert!(printed.contains(text), "{printed}");
        assert_eq!(output.status.code(), Some(code), "{printed}");
    }
}

#[test]
fn invalid_requests_unacceptable_tokens_and_usage_errors_are_explained() {
    let opaque = "opaque-token";
    let of_issuer = |issuer: &'static str, audience: &'static str, more: &[&'static str]| {
        let claims =
            ["GET", "/me", "--claims", "<with-issuer>", "--issuer", issuer, "--audience", audience];
        [&claims[..], more].concat()
    };
    // In tokens of Cognito, `client_id` contains the audience.
    let client = |provider: &'static str| {
        let claims = ["GET", "/me", "--claims", "<with-client-id>", "--audience", "api"];
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
        ("no-subject", "{}"),
        ("settings", "[[issuers]]\nissuer = \"https://a.example\"\naudience = \"other\"\n"),
        ("inactive", "{\"sub\": \"a\", \"active\": false}"),
        ("certificate", "{\"sub\": \"a\", \"cnf\": {\"x5t#S256\": \"x\"}}"),
        ("with-issuer", "{\"sub\": \"a\", \"iss\": \"https://a.example\", \"aud\": [\"api\"]}"),
        (
            "with-client-id",
            "{\"sub\": \"a\", \"iss\": \"https://a.example\", \"client_id\": \"api\"}",
        ),
        (
            "untrusted-issuer",
            "{\"sub\": \"a\", \"iss\": \"https://b.example\", \"aud\": \"other\"}",
        ),
        ("expired", "{\"sub\": \"a\", \"exp\": 1}"),
        ("invalid-date", "{\"sub\": \"a\", \"exp\": \"soon\"}"),
        ("not-yet-valid", "{\"sub\": \"a\", \"nbf\": 99999999999}"),
        ("no-expiry", "e30.eyJzdWIiOiJhIn0.AA"),
        ("opaque", opaque),
        ("access-token", &jwt(r#"{"alg":"RS256","typ":"at+jwt"}"#)),
        ("id-token", &jwt(r#"{"alg":"RS256","typ":"JWT"}"#)),
        ("unsigned", &jwt(r#"{"alg":"none","typ":"at+jwt"}"#)),
        (
            "duplicate-issuer",
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
            "credential: refused with 400: the request has more than one Authorization header",
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
        (&["GET", "/me", "--claims", "<no-subject>"], 1, "401: the token has no subject"),
        (&["GET", "/me", "--claims", "<inactive>"], 1, "401: the token is not active"),
        (&["GET", "/me", "--claims", "<certificate>"], 1, "in a way that is not supported"),
        (&of_issuer("https://a.example", "api", &[]), 0, "allowed"),
        (
            &of_issuer("https://b.example", "api", &[]),
            1,
            "401: the token's issuer is not trusted here",
        ),
        (
            &of_issuer("https://a.example", "other", &[]),
            1,
            "401: the token is for another audience",
        ),
        (&of_issuer("https://a.example", "api", &["--dpop-required"]), 1, "must be bound to a key"),
        (&client("standard"), 1, "401: the token is for another audience"),
        (&client("cognito"), 0, "allowed"),
        (
            &["GET", "/me", "--claims", "<with-issuer>", "--config", "<settings>"],
            1,
            "401: the token is for another audience",
        ),
        (
            &["GET", "/me", "--claims", "<untrusted-issuer>", "--config", "<settings>"],
            1,
            "401: the token's issuer is not trusted here",
        ),
        (&token("<access-token>", &[]), 0, "allowed"),
        (&token("<id-token>", &[]), 1, "401: the token is not an access token"),
        (&token("<id-token>", &["--allow-untyped-tokens"]), 1, "not marked as an access token"),
        (&token("<unsigned>", &[]), 1, "401: the token's algorithm is not accepted"),
        (
            &["GET", "/me", "--claims", "<with-issuer>", "--config", "<duplicate-issuer>"],
            2,
            "duplicate issuer \"https://a.example\"",
        ),
        (&["GET", "/me", "--token", "<opaque>"], 2, "not a JWT; for an opaque token, pass"),
        (&["GET", "/me", "--claims", "<expired>"], 1, "401: the token has expired"),
        (
            &["GET", "/me", "--claims", "<invalid-date>"],
            1,
            "401: a date in the token is not a number",
        ),
        (&["GET", "/me", "--claims", "<not-yet-valid>"], 1, "401: the token is not valid yet"),
        (&["GET", "/me", "--token", "<no-expiry>"], 1, "401: the token never expires"),
        (
            &["GET", "/me#x", "--claims", "<claims>"],
            1,
            "400: the request's target cannot be parsed",
        ),
        (
            &["GET", "/me?a=1#x", "--claims", "<claims>"],
            1,
            "400: the request's target cannot be parsed",
        ),
        (&["GET", "me", "--claims", "<claims>"], 1, "400: the request's target cannot be parsed"),
        (&["GET", "/me", "--claims", "<claims>", "--verify"], 2, "cannot be used with"),
        (&["GET", "/me", "--claims", "<missing>"], 2, "No such file"),
        (&["GET", "/me"], 2, "--token <FILE>"),
    ] {
        let output = explain(&folder, arguments);
        let all = format!("{}{}", stdout(&output), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{all}");
        assert!(all.contains(text), "{all}");
        // Without verification, the output starts with a warning.
        assert!(code == 2 || all.starts_with("NOT VERIFIED"), "{all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_is_verified_with_its_dpop_proof() {
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
        ("X-Other: 1".to_owned(), 1, "token: not accepted: "),
    ] {
        let mut arguments = vec!["POST", "/approve-transaction", "--token", "<token>", "--verify"];
        arguments.extend(["--issuer", idp.url(), "--audience", AUDIENCE]);
        arguments.extend(["--resource", "https://api.example", "--header", &header]);
        let output = explain(&folder, &arguments);
        let printed = stdout(&output);
        assert_eq!(output.status.code(), Some(code), "{printed}");
        assert!(printed.contains(text), "{printed}");
    }
}

#[test]
fn common_mistakes_in_the_arguments_are_explained() {
    let base = contract().replace("\"endpoints\"", "\"base\": \"/api\", \"endpoints\"");
    let folder = folder(&[("contract.json", &base), ("claims", "{}")]);
    let explain = |arguments: &[&str]| {
        let output = explain(&folder, arguments);
        (
            output.status.code(),
            format!("{}{}", stdout(&output), String::from_utf8_lossy(&output.stderr)),
        )
    };
    // The base is part of the path.
    let (code, text) = explain(&["GET", "/me", "--claims", "<claims>"]);
    assert!(code == Some(1) && text.contains("did you mean GET /api/me"), "{text}");
    // A method in lower case.
    let (_, text) = explain(&["get", "/api/me", "--claims", "<claims>"]);
    assert!(text.contains("request: matches GET /api/me"), "{text}");
    // Method and path the wrong way around.
    let (code, text) = explain(&["/api/me", "GET", "--claims", "<claims>"]);
    assert!(code == Some(2) && text.contains("write the method first"), "{text}");
    // A token instead of a file.
    let (code, text) = explain(&["GET", "/api/me", "--token", "eyJhbGciOiJub25lIn0.e30.x"]);
    assert!(code == Some(2) && text.contains("--token takes a file"), "{text}");
    assert!(!text.contains("eyJ"), "the token is not printed: {text}");
    // The verdict is printed once.
    let (_, text) = explain(&["POST", "/api/approve-transaction", "--claims", "<claims>"]);
    assert_eq!(text.matches("refused").count(), 1, "{text}");
}

#[test]
fn a_claim_of_another_shape_and_swapped_options_are_named() {
    let claims = json!({
        "iss": "https://login.example", "aud": "api", "sub": "a", "exp": 4_000_000_000_u64,
        "acr": ["1"], "amr": "mfa", "auth_time": "now",
    });
    let folder = folder(&[("contract.json", &contract()), ("claims", &claims.to_string())]);
    let explain = |more: &[&str]| {
        let path = ["POST", "/approve-transaction", "--claims", "<claims>"];
        let issuer = ["--issuer", "https://login.example", "--audience", "api"];
        let output = explain(&folder, &[&path[..], &issuer, more].concat());
        format!("{}{}", stdout(&output), String::from_utf8_lossy(&output.stderr))
    };
    let text = explain(&[]);
    assert!(text.contains("the claim acr is [\"1\"], which proves nothing"), "{text}");
    assert!(text.contains("--acr-list-claim"), "{text}");
    assert!(text.contains("the claim amr is \"mfa\", which proves nothing"), "{text}");
    assert!(text.contains("the claim auth_time is \"now\", which proves nothing"), "{text}");
    for (option, expected) in [
        (["--proves", "mfa=urn:x"], "the acr comes first; write urn:x=mfa"),
        (["--ask", "urn:x=mfa"], "the method comes first; write mfa=urn:x"),
        (["--amr-proves", "custom:password,hwk=mfa"], "write password instead of custom:password"),
    ] {
        let text = explain(&option);
        assert!(text.contains(expected), "{option:?}: {text}");
    }
}
