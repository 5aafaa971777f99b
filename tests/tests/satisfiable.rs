//! Whether an issuer can satisfy a contract: told by `stepup check` and at the start of a program,
//! with the endpoint and the fix.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};
use stepup_runtime::testing::{AUDIENCE, TestIssuer};
use stepup_runtime::{BuildError, Contract, Issuer, Method, Provider, Severity, StepUp};
use stepup_tests::command::stepup;
use stepup_tests::scripted::{Script, Scripted};

/// A contract of one endpoint.
fn contract(security: Value) -> String {
    json!({"method": "POST", "path": "/pay", "security": security}).to_string()
}

fn parsed(security: Value) -> Contract {
    Contract::parse(contract(security)).expect("a contract")
}

/// What is found for this endpoint at an issuer that publishes this.
async fn findings(
    security: Value,
    published: Value,
    issuer: impl FnOnce(Issuer) -> Issuer,
) -> Vec<(Severity, String)> {
    let idp = TestIssuer::start().await.expect("an issuer");
    for (name, value) in published.as_object().expect("an object") {
        idp.publish(name, value.clone());
    }
    let found = issuer(idp.issuer()).check(&parsed(security)).await.expect("an issuer");
    found.into_iter().map(|finding| (finding.severity, finding.to_string())).collect()
}

fn same(issuer: Issuer) -> Issuer {
    issuer
}

/// Everything that a contract could need.
fn everything() -> Value {
    json!({
        "acr_values_supported": ["gold", "silver", "mfa"],
        "claims_supported": ["sub", "amr", "acr", "auth_time"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "dpop_signing_alg_values_supported": ["ES256"],
    })
}

#[tokio::test]
async fn nothing_is_found_where_everything_is_there() {
    for security in [
        json!({"step-up": false}),
        json!({"step-up": true, "methods": ["mfa"], "max-age": 300}),
        json!({"step-up": true, "acr": ["gold", "silver"], "bound": true}),
        json!({"step-up": true, "max-age": 60}),
    ] {
        let found = findings(security.clone(), everything(), same).await;
        assert_eq!(found, [], "{security}");
    }
    let gold = |issuer: Issuer| issuer.proves("gold", [Method::Mfa, Method::PhishingResistant]);
    let security = json!({"step-up": true, "methods": ["mfa", "phishing_resistant"]});
    assert_eq!(findings(security, everything(), gold).await, []);
}

/// One finding of this severity, which says all of this.
async fn assert_finds(
    severity: Severity,
    says: &[&str],
    security: Value,
    published: Value,
    issuer: impl FnOnce(Issuer) -> Issuer,
) {
    let found = findings(security.clone(), published, issuer).await;
    let [(found_severity, text)] = &found[..] else { panic!("{security}: {found:?}") };
    assert_eq!(*found_severity, severity, "{text}");
    for part in says {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

#[tokio::test]
async fn a_challenge_that_no_login_could_cure_is_an_error() {
    use Severity::Error;
    let phishing = || json!({"step-up": true, "methods": ["phishing_resistant"]});
    assert_finds(
        Error,
        &["POST /pay", "nothing in this issuer's tokens proves `phishing_resistant`", ".proves("],
        phishing(),
        everything(),
        same,
    )
    .await;
    assert_finds(
        Error,
        &["POST /pay", "acr_values \"platinum\"", "publishes [\"gold\", \"silver\", \"mfa\"]"],
        json!({"step-up": true, "acr": ["platinum"]}),
        everything(),
        same,
    )
    .await;
    assert_finds(
        Error,
        &["POST /pay", "proofs are signed with [\"ES512\"] only"],
        json!({"step-up": false, "bound": true}),
        json!({"dpop_signing_alg_values_supported": ["ES512"]}),
        same,
    )
    .await;
    assert_finds(
        Error,
        &["nothing in this issuer's tokens proves `mfa`"],
        json!({"step-up": true, "methods": ["mfa"]}),
        everything(),
        |issuer| issuer.adjust(|profile| profile.states_amr(false)),
    )
    .await;
    // The methods' own names are asked for, which the issuer does not know.
    assert_finds(
        Error,
        &["acr_values \"otp\"", ".ask(Method::"],
        json!({"step-up": true, "methods": ["otp"]}),
        everything(),
        same,
    )
    .await;
    // Mapped to a value that the issuer does not know.
    assert_finds(
        Error,
        &["acr_values \"urn:2fa\"", "have the issuer support one of them"],
        json!({"step-up": true, "methods": ["mfa"]}),
        everything(),
        |issuer| issuer.ask(Method::Mfa, ["urn:2fa"]),
    )
    .await;
    // What proves it is not among the acr values that the endpoint accepts.
    assert_finds(
        Error,
        &["proves `phishing_resistant` among [\"silver\"], or above"],
        json!({"step-up": true, "methods": ["phishing_resistant"], "acr": ["silver"]}),
        everything(),
        |issuer| issuer.proves("gold", [Method::PhishingResistant]),
    )
    .await;
    assert_finds(
        Error,
        &["signs with [\"HS256\"] only"],
        json!({"step-up": false}),
        json!({"id_token_signing_alg_values_supported": ["HS256"]}),
        same,
    )
    .await;
}

#[tokio::test]
async fn a_higher_level_satisfies_and_is_what_is_asked_for() {
    let levels = |issuer: Issuer| {
        let issuer = issuer.proves("gold", [Method::PhishingResistant]);
        issuer.adjust(|profile| profile.acr_order(["bronze", "silver", "gold"]))
    };
    let security =
        json!({"step-up": true, "methods": ["phishing_resistant"], "acr": ["bronze", "silver"]});
    assert_eq!(findings(security.clone(), everything(), levels).await, []);
    let profile = stepup_contract::Profile::default()
        .proves("gold", [Method::PhishingResistant])
        .acr_order(["bronze", "silver", "gold"]);
    let contract = parsed(security);
    assert_eq!(
        profile.acr_values(&contract.endpoints()[0].requirement),
        ["gold"],
        "bronze would be in vain"
    );
}

#[tokio::test]
async fn an_issuer_that_was_not_asked_is_said_not_to_have_been() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let contract = parsed(json!({"step-up": true, "acr": ["gold"]}));
    for issuer in
        [idp.issuer().jwks(idp.jwks()), idp.issuer().jwks_url(format!("{}/jwks", idp.url()))]
    {
        let found = issuer.check(&contract).await.expect("an issuer");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].problem.contains("was not asked"), "{found:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_told_is_a_warning() {
    use Severity::Warning;
    assert_finds(
        Warning,
        &["the profile names the acr values [\"goldd\"]"],
        json!({"step-up": true, "max-age": 60}),
        everything(),
        |issuer| issuer.ask(Method::Mfa, ["goldd"]),
    )
    .await;
    assert_finds(
        Warning,
        &["does not publish `acr_values_supported`"],
        json!({"step-up": true, "acr": ["gold"]}),
        json!({}),
        same,
    )
    .await;
    assert_finds(
        Warning,
        &["POST /pay", "does not publish the acr values [\"platinum\"]"],
        json!({"step-up": true, "acr": ["gold", "platinum"]}),
        everything(),
        same,
    )
    .await;
    let mut published = everything();
    published["claims_supported"] = json!(["sub", "acr", "amr"]);
    assert_finds(
        Warning,
        &["does not list `auth_time`", "POST /pay needs"],
        json!({"step-up": true, "max-age": 300}),
        published.clone(),
        same,
    )
    .await;
    assert_finds(
        Warning,
        &["does not list `https://api.example/amr`"],
        json!({"step-up": true, "methods": ["mfa"]}),
        published.clone(),
        |issuer| issuer.adjust(|profile| profile.amr_claim("https://api.example/amr")),
    )
    .await;
    published.as_object_mut().expect("an object").remove("dpop_signing_alg_values_supported");
    assert_finds(
        Warning,
        &["POST /pay", "bound needs DPoP tokens"],
        json!({"step-up": false, "bound": true}),
        published,
        same,
    )
    .await;
}

#[tokio::test]
async fn an_issuer_whose_users_may_not_step_up_need_not_be_able_to() {
    let phishing = json!({"step-up": true, "methods": ["phishing_resistant"]});
    assert_eq!(findings(phishing, everything(), |issuer| issuer.may_step_up(false)).await, []);
}

#[tokio::test]
async fn a_program_whose_issuer_cannot_satisfy_its_contract_does_not_start_unless_told_to() {
    let idp = TestIssuer::start().await.expect("an issuer");
    idp.publish("acr_values_supported", json!(["bronze"]));
    let build = |allow: bool, security: Value| {
        let builder = StepUp::builder().issuer(idp.issuer()).allow_unsatisfiable(allow);
        builder.contract(parsed(security)).build()
    };
    let gold = || json!({"step-up": true, "acr": ["gold"]});
    let error = build(false, gold()).await.expect_err("it must not start");
    let BuildError::Unsatisfiable { issuer, findings } = &error else { panic!("{error}") };
    assert_eq!((issuer.as_str(), findings.len()), (idp.url(), 1));
    let text = error.to_string();
    assert!(text.contains("POST /pay") && text.contains("allow_unsatisfiable"), "{text}");
    assert!(build(true, gold()).await.is_ok());
    assert!(build(false, json!({"step-up": true, "acr": ["bronze"]})).await.is_ok());
}

/// A requirement in which no lint finds anything.
fn asking(methods: &[&str], acr: Option<&str>) -> Value {
    let mut security =
        json!({"step-up": true, "methods": methods, "max-age": 300, "scopes": ["pay"]});
    if let Some(acr) = acr {
        security["acr"] = json!([acr]);
    }
    security
}

/// What `stepup check` says, and its exit code.
fn check(contract: &str, arguments: &[&str]) -> (i32, String, String) {
    let mut process = Command::new(stepup())
        .args(["check", "-"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = process.stdin.take().expect("its standard input");
    // It may not have waited for its input.
    let _ = stdin.write_all(contract.as_bytes());
    drop(stdin);
    let output = process.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("a code"), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_tells_what_is_found_and_exits_with_it() {
    let idp = TestIssuer::start().await.expect("an issuer");
    idp.publish("acr_values_supported", json!(["urn:2fa"]));
    let mfa = contract(asking(&["mfa"], None));
    let issuer = ["--issuer", idp.url()];
    let (code, out, err) = check(&mfa, &issuer);
    assert_eq!(code, 1, "{out}{err}");
    assert!(
        out.starts_with("error: POST /pay: the challenge asks for acr_values \"mfa\""),
        "{out}"
    );
    assert_eq!(err, "1 endpoint, 1 error, 0 warnings\n");

    // It stands at the endpoint, whatever the contract's base.
    let based = json!({
        "contract": 1, "service": "s", "version": "1", "base": "/api",
        "endpoints": [serde_json::from_str::<Value>(&mfa).expect("JSON")],
    });
    let json = [&issuer[..], &["--output", "json"]].concat();
    let (_, out, err) = check(&based.to_string(), &json);
    let document: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    let found = document["findings"].as_array().expect("findings").iter();
    let found = Vec::from_iter(found.filter(|one| one["rule"] == "issuer"));
    assert_eq!((&found[0]["route"], &found[0]["line"]), (&json!("POST /api/pay"), &json!(1)));
    assert_eq!(found[0]["pointer"], "/endpoints/0");

    let (code, out, err) = check(&mfa, &[&issuer[..], &["--ask", "mfa=urn:2fa"]].concat());
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    assert_eq!(err, "1 endpoint, 0 errors, 0 warnings\n");
    let phishing = contract(asking(&["phishing_resistant"], None));
    let proves = ["--proves", "urn:2fa=mfa,phishing_resistant"];
    assert_eq!(check(&phishing, &[&issuer[..], &proves].concat()).0, 0);
    assert_eq!(check(&phishing, &issuer).0, 1);
    let silver = contract(asking(&["phishing_resistant"], Some("s")));
    assert_eq!(check(&silver, &[&issuer[..], &proves].concat()).0, 1);
    let order = ["--acr-order", "s,urn:2fa"];
    assert_eq!(check(&silver, &[&issuer[..], &proves, &order].concat()).0, 0);

    assert_eq!(check(&mfa, &[]).0, 0, "the contract alone");
    let (code, out, err) = check("{\"path\": \"/x\"}", &[]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("error: -:1: at "), "{err}");
    for usage in [
        &["--provider", "okta"][..],
        &[&issuer[..], &["--provider", "oktaa"]].concat(),
        &[&issuer[..], &["--ask", "mfa"]].concat(),
        &[&issuer[..], &["--proves", "gold=mfaa"]].concat(),
        &[&issuer[..], &["--provider", "auth0"]].concat(),
        &["--issuer", "http://idp.example"],
        &["--issuer", "http://127.0.0.1:1"],
    ] {
        let (code, out, err) = check(&mfa, usage);
        assert_eq!((code, out.as_str()), (2, ""), "{usage:?}: {err}");
        assert!(err.starts_with("error: "), "{usage:?}: {err}");
    }
    let missing = Command::new(stepup()).args(["check", "no-such-file"]).output().expect("it ends");
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no-such-file: "));
}

/// The discovery document of an Okta custom authorization server lists few claims and its own acr
/// values; the contract of the README is satisfiable there.
#[tokio::test]
async fn okta_as_it_publishes_itself_satisfies_mfa_and_phishing_resistance() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let peer = Scripted::start().await;
    let document = json!({
        "issuer": peer.url, "jwks_uri": format!("{}/jwks", idp.url()),
        "acr_values_supported": [
            "urn:okta:loa:1fa:any", "urn:okta:loa:1fa:pwd", "urn:okta:loa:2fa:any",
            "urn:okta:loa:2fa:any:ifpossible", "phr", "phrh",
        ],
        "claims_supported":
            ["ver", "jti", "iss", "aud", "iat", "exp", "cid", "uid", "scp", "sub"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "dpop_signing_alg_values_supported": ["RS256", "ES256"],
    });
    peer.on("/.well-known/openid-configuration", Script::json(&document));
    for methods in [json!(["mfa"]), json!(["phishing_resistant"]), json!(["hwk"])] {
        let security = json!({"step-up": true, "methods": methods, "max-age": 300});
        let issuer = Issuer::of(Provider::Okta, &peer.url, AUDIENCE);
        let found = issuer.check(&parsed(security)).await.expect("an issuer");
        assert!(found.iter().all(|finding| finding.severity == Severity::Warning), "{found:?}");
        assert_eq!(found.len(), 2, "acr and auth_time are not listed: {found:?}");
    }
    let security = json!({"step-up": true, "methods": ["mfa", "phishing_resistant"]});
    let issuer = Issuer::of(Provider::Okta, &peer.url, AUDIENCE);
    let found = issuer.check(&parsed(security)).await.expect("an issuer");
    assert!(found[0].problem.contains("none that is known proves all of"), "{found:?}");
    let security = json!({"step-up": true, "methods": ["otp"]});
    let issuer = Issuer::of(Provider::Okta, &peer.url, AUDIENCE);
    let found = issuer.check(&parsed(security)).await.expect("an issuer");
    assert_eq!(
        found[0].severity,
        Severity::Error,
        "Okta cannot be asked for one factor: {found:?}"
    );
}
