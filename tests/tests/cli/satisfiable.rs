//! Whether an issuer can satisfy a contract. `stepup check` and a program at its start report each
//! endpoint that the issuer cannot satisfy, and the fix.

use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};
use stepup_runtime::testing::{AUDIENCE, TestIssuer};
use stepup_runtime::{BuildError, Contract, Issuer, Method, Provider, Severity, StepUp};
use stepup_tests::command::stepup;
use stepup_tests::fake_issuer::{FakeIssuer, Response};

/// A contract of one endpoint.
fn contract(security: Value) -> String {
    json!({"method": "POST", "path": "/pay", "security": security}).to_string()
}

fn parsed(security: Value) -> Contract {
    Contract::parse(contract(security)).expect("a contract")
}

/// The findings for an endpoint with this requirement, at an issuer with this metadata.
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

fn unchanged(issuer: Issuer) -> Issuer {
    issuer
}

/// Metadata of an issuer that supports common acr values, claims and algorithms.
fn full_metadata() -> Value {
    json!({
        "acr_values_supported": ["gold", "silver", "mfa"],
        "claims_supported": ["sub", "amr", "acr", "auth_time"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "dpop_signing_alg_values_supported": ["ES256"],
    })
}

#[tokio::test]
async fn an_issuer_with_all_capabilities_has_no_findings() {
    for security in [
        json!({"step-up": false}),
        json!({"step-up": true, "methods": ["mfa"], "max-age": 300}),
        json!({"step-up": true, "acr": ["gold", "silver"], "bound": true}),
        json!({"step-up": true, "max-age": 60}),
    ] {
        let found = findings(security.clone(), full_metadata(), unchanged).await;
        assert_eq!(found, [], "{security}");
    }
    let gold = |issuer: Issuer| issuer.proves("gold", [Method::Mfa, Method::PhishingResistant]);
    let security = json!({"step-up": true, "methods": ["mfa", "phishing_resistant"]});
    assert_eq!(findings(security, full_metadata(), gold).await, []);
}

/// Asserts that there is exactly one finding, with this severity and all of these texts.
async fn assert_finds(
    severity: Severity,
    expected: &[&str],
    security: Value,
    published: Value,
    issuer: impl FnOnce(Issuer) -> Issuer,
) {
    let found = findings(security.clone(), published, issuer).await;
    let [(found_severity, text)] = &found[..] else { panic!("{security}: {found:?}") };
    assert_eq!(*found_severity, severity, "{text}");
    for part in expected {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

#[tokio::test]
async fn a_requirement_that_no_login_can_satisfy_is_an_error() {
    use Severity::Error;
    let phishing = || json!({"step-up": true, "methods": ["phishing_resistant"]});
    assert_finds(
        Error,
        &["POST /pay", "no claim in this issuer's tokens proves `phishing_resistant`", ".proves("],
        phishing(),
        full_metadata(),
        unchanged,
    )
    .await;
    assert_finds(
        Error,
        &["POST /pay", "acr_values \"platinum\"", "publishes [\"gold\", \"silver\", \"mfa\"]"],
        json!({"step-up": true, "acr": ["platinum"]}),
        full_metadata(),
        unchanged,
    )
    .await;
    assert_finds(
        Error,
        &["POST /pay", "only proofs signed with [\"ES512\"]"],
        json!({"step-up": false, "bound": true}),
        json!({"dpop_signing_alg_values_supported": ["ES512"]}),
        unchanged,
    )
    .await;
    assert_finds(
        Error,
        &["no claim in this issuer's tokens proves `mfa`"],
        json!({"step-up": true, "methods": ["mfa"]}),
        full_metadata(),
        |issuer| issuer.adjust(|profile| profile.states_amr(false)),
    )
    .await;
    // Without a mapping, the challenge requests the name of the method, which the issuer does not support.
    assert_finds(
        Error,
        &["acr_values \"otp\"", ".ask(Method::"],
        json!({"step-up": true, "methods": ["otp"]}),
        full_metadata(),
        unchanged,
    )
    .await;
    // An acr value proves the method, but does not request it.
    assert_finds(
        Error,
        &["acr_values \"otp\"", "the acr \"gold\" proves `otp`", "(--ask otp=gold)"],
        json!({"step-up": true, "methods": ["otp"]}),
        full_metadata(),
        |issuer| issuer.proves("gold", [Method::Otp]),
    )
    .await;
    // The method is mapped to an acr value that the issuer does not support.
    assert_finds(
        Error,
        &["acr_values \"urn:2fa\"", "configure the issuer to support one of them"],
        json!({"step-up": true, "methods": ["mfa"]}),
        full_metadata(),
        |issuer| issuer.ask(Method::Mfa, ["urn:2fa"]),
    )
    .await;
    // The endpoint does not accept the acr value that proves the method.
    assert_finds(
        Error,
        &["proves `phishing_resistant` among [\"silver\"] or higher"],
        json!({"step-up": true, "methods": ["phishing_resistant"], "acr": ["silver"]}),
        full_metadata(),
        |issuer| issuer.proves("gold", [Method::PhishingResistant]),
    )
    .await;
    assert_finds(
        Error,
        &["signs only with [\"HS256\"]"],
        json!({"step-up": false}),
        json!({"id_token_signing_alg_values_supported": ["HS256"]}),
        unchanged,
    )
    .await;
}

#[tokio::test]
async fn a_higher_acr_satisfies_the_requirement_and_is_requested() {
    let levels = |issuer: Issuer| {
        let issuer = issuer.proves("gold", [Method::PhishingResistant]);
        issuer.adjust(|profile| profile.acr_order(["bronze", "silver", "gold"]))
    };
    let security =
        json!({"step-up": true, "methods": ["phishing_resistant"], "acr": ["bronze", "silver"]});
    assert_eq!(findings(security.clone(), full_metadata(), levels).await, []);
    let profile = stepup_contract::Profile::default()
        .proves("gold", [Method::PhishingResistant])
        .acr_order(["bronze", "silver", "gold"]);
    let contract = parsed(security);
    assert_eq!(
        profile.acr_values(&contract.endpoints()[0].requirement),
        ["gold"],
        "bronze does not prove the method"
    );
}

#[tokio::test]
async fn an_unread_discovery_document_is_reported() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let contract = parsed(json!({"step-up": true, "acr": ["gold"]}));
    for issuer in
        [idp.issuer().jwks(idp.jwks()), idp.issuer().jwks_url(format!("{}/jwks", idp.url()))]
    {
        let found = issuer.check(&contract).await.expect("an issuer");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].problem.contains("discovery document was not read"), "{found:?}");
    }
}

#[tokio::test]
async fn an_unpublished_capability_is_a_warning() {
    use Severity::Warning;
    assert_finds(
        Warning,
        &["the profile names the acr values [\"goldd\"]"],
        json!({"step-up": true, "max-age": 60}),
        full_metadata(),
        |issuer| issuer.ask(Method::Mfa, ["goldd"]),
    )
    .await;
    assert_finds(
        Warning,
        &["does not publish `acr_values_supported`"],
        json!({"step-up": true, "acr": ["gold"]}),
        json!({}),
        unchanged,
    )
    .await;
    assert_finds(
        Warning,
        &["POST /pay", "does not publish the acr values [\"platinum\"]"],
        json!({"step-up": true, "acr": ["gold", "platinum"]}),
        full_metadata(),
        unchanged,
    )
    .await;
    let mut published = full_metadata();
    published["claims_supported"] = json!(["sub", "acr", "amr"]);
    assert_finds(
        Warning,
        &["does not list `auth_time`", "POST /pay needs"],
        json!({"step-up": true, "max-age": 300}),
        published.clone(),
        unchanged,
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
    let mut logouts = full_metadata();
    logouts["backchannel_logout_supported"] = json!(true);
    assert_finds(
        Warning,
        &["does not list `sid`", "would match no token"],
        json!({"step-up": false}),
        logouts,
        unchanged,
    )
    .await;
    published.as_object_mut().expect("an object").remove("dpop_signing_alg_values_supported");
    assert_finds(
        Warning,
        &["POST /pay", "bound needs DPoP tokens"],
        json!({"step-up": false, "bound": true}),
        published,
        unchanged,
    )
    .await;
}

#[tokio::test]
async fn an_issuer_whose_users_may_not_step_up_has_no_findings() {
    let phishing = json!({"step-up": true, "methods": ["phishing_resistant"]});
    assert_eq!(findings(phishing, full_metadata(), |issuer| issuer.may_step_up(false)).await, []);
}

#[tokio::test]
async fn a_program_with_an_unsatisfiable_contract_starts_only_if_that_is_allowed() {
    let idp = TestIssuer::start().await.expect("an issuer");
    idp.publish("acr_values_supported", json!(["bronze"]));
    let build = |allow: bool, security: Value| {
        let builder = StepUp::builder().issuer(idp.issuer()).allow_unsatisfiable(allow);
        builder.contract(parsed(security)).build()
    };
    let gold = || json!({"step-up": true, "acr": ["gold"]});
    let error = build(false, gold()).await.expect_err("the program must not start");
    let BuildError::Unsatisfiable { issuer, findings } = &error else { panic!("{error}") };
    assert_eq!((issuer.as_str(), findings.len()), (idp.url(), 1));
    let text = error.to_string();
    assert!(text.contains("POST /pay") && text.contains("allow_unsatisfiable"), "{text}");
    assert!(build(true, gold()).await.is_ok());
    assert!(build(false, json!({"step-up": true, "acr": ["bronze"]})).await.is_ok());
}

/// A requirement without lint findings.
fn requirement(methods: &[&str], acr: Option<&str>) -> Value {
    let mut security =
        json!({"step-up": true, "methods": methods, "max-age": 300, "scopes": ["pay"]});
    if let Some(acr) = acr {
        security["acr"] = json!([acr]);
    }
    security
}

/// Runs `stepup check` on this contract. Returns its exit code, standard output and standard error.
fn check(contract: &str, arguments: &[&str]) -> (i32, String, String) {
    let mut process = Command::new(stepup())
        .args(["check", "-"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut stdin = process.stdin.take().expect("its standard input");
    // This fails if the command exits without reading its input.
    let _ = stdin.write_all(contract.as_bytes());
    drop(stdin);
    let output = process.wait_with_output().expect("the command exits");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("a code"), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_prints_findings_and_sets_the_exit_code() {
    let idp = TestIssuer::start().await.expect("an issuer");
    idp.publish("acr_values_supported", json!(["urn:2fa"]));
    let mfa = contract(requirement(&["mfa"], None));
    let issuer = ["--issuer", idp.url()];
    let (code, out, err) = check(&mfa, &issuer);
    assert_eq!(code, 1, "{out}{err}");
    assert!(
        out.starts_with("error: POST /pay: the challenge requests acr_values \"mfa\""),
        "{out}"
    );
    assert_eq!(err, "1 endpoint, 1 error, 0 warnings\n");

    // The finding is located at the endpoint, also if the contract has a base.
    let based = json!({
        "contract": 1, "service": "s", "version": "1", "base": "/api",
        "endpoints": [serde_json::from_str::<Value>(&mfa).expect("JSON")],
    });
    let json = [&issuer[..], &["--output", "json"]].concat();
    let (_, out, err) = check(&based.to_string(), &json);
    let document: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    let found = document["findings"].as_array().expect("findings").iter();
    let found = Vec::from_iter(found.filter(|finding| finding["rule"] == "issuer"));
    assert_eq!((&found[0]["route"], &found[0]["line"]), (&json!("POST /api/pay"), &json!(1)));
    assert_eq!(found[0]["pointer"], "/endpoints/0");
    let challenge = json!({
        "issuer": idp.url(), "route": "POST /api/pay", "acr_values": ["mfa"], "max_age": 300,
        "scope": ["pay"],
    });
    assert_eq!(document["challenges"], json!([challenge]));

    let (code, out, err) = check(&mfa, &[&issuer[..], &["--ask", "mfa=urn:2fa"]].concat());
    assert_eq!(code, 0, "{out}{err}");
    let requests = "  POST /pay: acr_values=\"urn:2fa\" max_age=300 scope=\"pay\"\n";
    assert_eq!(out, format!("challenges for users of {}:\n{requests}", idp.url()));
    assert_eq!(err, "1 endpoint, 0 errors, 0 warnings\n");
    let phishing = contract(requirement(&["phishing_resistant"], None));
    let proves = ["--proves", "urn:2fa=mfa,phishing_resistant"];
    assert_eq!(check(&phishing, &[&issuer[..], &proves].concat()).0, 0);
    assert_eq!(check(&phishing, &issuer).0, 1);
    let silver = contract(requirement(&["phishing_resistant"], Some("s")));
    assert_eq!(check(&silver, &[&issuer[..], &proves].concat()).0, 1);
    let order = ["--acr-order", "s,urn:2fa"];
    assert_eq!(check(&silver, &[&issuer[..], &proves, &order].concat()).0, 0);

    assert_eq!(check(&mfa, &[]).0, 0, "without an issuer, only the contract is checked");
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
    let missing =
        Command::new(stepup()).args(["check", "no-such-file"]).output().expect("the command exits");
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no-such-file: "));
}

/// The discovery document of an Okta custom authorization server lists few claims and its own acr
/// values. Such a server can satisfy the contract of the README.
#[tokio::test]
async fn okta_satisfies_mfa_and_phishing_resistance_according_to_its_metadata() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let peer = FakeIssuer::start().await;
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
    peer.on("/.well-known/openid-configuration", Response::json(&document));
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
    assert!(found[0].problem.contains("no known acr proves all of"), "{found:?}");
    let security = json!({"step-up": true, "methods": ["otp"]});
    let issuer = Issuer::of(Provider::Okta, &peer.url, AUDIENCE);
    let found = issuer.check(&parsed(security)).await.expect("an issuer");
    assert_eq!(
        found[0].severity,
        Severity::Error,
        "no acr value of Okta requests a single factor: {found:?}"
    );
}
