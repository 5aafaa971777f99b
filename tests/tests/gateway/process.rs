//! `stepup gateway` as a process: settings, startup errors, identity headers and metrics. `lifecycle.rs` tests reloads
//! and shutdown.

use serde_json::json;
use std::process::Command;
use stepup_runtime::testing::{AUDIENCE, TestAlgorithm, TestHolder, TestIssuer};
use stepup_tests::bank::{bank, check_request, contract, issuer, status};
use stepup_tests::command::{run, stepup};
use stepup_tests::envoy::{ClientRequest, EnvoyClient};
use stepup_tests::gateways::Gateway;
use stepup_tests::server::Answer;

#[tokio::test]
async fn every_mode_sends_the_identity_headers() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let token = idp
        .token()
        .claim("sub", "al ice,é")
        .claim("scope", "pay view")
        .claim("amr", json!(["pwd", "mfa"]))
        .claim("acr", "gold")
        .claim("auth_time", 1_700_000_000)
        .mint();
    let expected = [
        ("x-step-up-subject", "al%20ice%2C%C3%A9"),
        ("x-step-up-issuer", idp.url()),
        ("x-step-up-client", "test-client"),
        ("x-step-up-scopes", "pay view"),
        ("x-step-up-amr", "pwd mfa"),
        ("x-step-up-acr", "gold"),
        ("x-step-up-auth-time", "1700000000"),
    ];
    let answer = Answer::of(check_request(&gateway, "POST", "/pay").bearer_auth(&token)).await;
    for (name, value) in expected {
        assert_eq!(answer.header(name), Some(value));
    }
    let mut envoy = EnvoyClient::connect(gateway.address("envoy-grpc")).await;
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", &*authorization)];
    let request = ClientRequest { method: "POST", target: "/pay", headers: &headers, raw: true };
    let ok = envoy.check(&request).await.expect("allowed");
    let sent: Vec<(String, String)> = ok
        .headers
        .into_iter()
        .filter_map(|option| option.header.map(|header| (header.key, header.value)))
        .collect();
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(sent, expected);
    assert_eq!(ok.headers_to_remove, [""; 0]);
}

#[tokio::test]
async fn identity_headers_without_a_value_are_removed() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let token = idp.token().without("client_id").mint();
    let answer = Answer::of(check_request(&gateway, "GET", "/me").bearer_auth(&token)).await;
    for name in ["client", "scopes", "amr", "acr"] {
        assert_eq!(answer.header(&format!("x-step-up-{name}")), Some(""), "{name}");
    }
    let mut envoy = EnvoyClient::connect(gateway.address("envoy-grpc")).await;
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", &*authorization)];
    let request = ClientRequest { method: "GET", target: "/me", headers: &headers, raw: true };
    let removed = envoy.check(&request).await.expect("allowed").headers_to_remove;
    let expected = ["client", "scopes", "amr", "acr"].map(|name| format!("x-step-up-{name}"));
    assert_eq!(removed, expected);
}

#[tokio::test]
async fn every_mode_refuses_headers_that_resemble_identity_headers() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let (bearer, name) = (format!("Bearer {}", idp.mfa_token()), "x~step-up.subject");
    for mode in ["nginx", "forward-auth", "envoy-http"] {
        let request = reqwest::Client::new()
            .post(format!("http://{}/pay", gateway.address(mode)))
            .header("authorization", &bearer)
            .header(name, "mallory");
        let request = match mode {
            "nginx" => request.header("x-original-method", "POST").header("x-original-uri", "/pay"),
            _ => request.header("x-forwarded-method", "POST").header("x-forwarded-uri", "/pay"),
        };
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, 400, "{mode}: {}", answer.body);
        assert!(
            answer.body.contains("be mistaken for an identity header"),
            "{mode}: {}",
            answer.body
        );
    }
    let mut envoy = EnvoyClient::connect(gateway.address("envoy-grpc")).await;
    let headers = [("authorization", &*bearer), (name, "mallory")];
    for raw in [true, false] {
        let request = ClientRequest { method: "POST", target: "/pay", headers: &headers, raw };
        assert_eq!(envoy.check(&request).await.expect_err("refused").status, 400, "raw {raw}");
    }
}

#[tokio::test]
async fn a_check_with_two_different_targets_is_refused() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let mut envoy = EnvoyClient::connect(gateway.address("envoy-grpc")).await;
    let bearer = format!("Bearer {}", idp.mfa_token());
    for (path_header, status) in [("/pay", 200), ("/pay!", 400), ("/p\u{e9}y", 400)] {
        let headers = [("authorization", &*bearer), (":path", path_header)];
        let request =
            ClientRequest { method: "POST", target: "/pay", headers: &headers, raw: true };
        let actual = envoy.check(&request).await.map_or_else(|refused| refused.status, |_| 200);
        assert_eq!(actual, status, "{path_header}");
    }
}

#[tokio::test]
async fn every_mode_refuses_duplicate_credentials() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let bearer = format!("Bearer {}", idp.mfa_token());
    let duplicate = check_request(&gateway, "POST", "/pay")
        .header("authorization", &bearer)
        .header("authorization", &bearer);
    assert_eq!(Answer::of(duplicate).await.status, 400);
    let query =
        check_request(&gateway, "POST", "/pay?access_token=x").header("authorization", &bearer);
    assert_eq!(Answer::of(query).await.status, 400);
    let mut envoy = EnvoyClient::connect(gateway.address("envoy-grpc")).await;
    let headers = [("authorization", &*bearer), ("authorization", &*bearer)];
    for raw in [true, false] {
        let request = ClientRequest { method: "POST", target: "/pay", headers: &headers, raw };
        assert_eq!(envoy.check(&request).await.expect_err("refused").status, 400, "raw {raw}");
    }
}

#[tokio::test]
async fn a_preflight_is_allowed_only_if_no_endpoint_handles_options() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let preflight = async |target: &str, method: &str| {
        let request = check_request(&gateway, "OPTIONS", target)
            .header("origin", "https://app.example")
            .header("access-control-request-method", method);
        Answer::of(request).await
    };
    let answer = preflight("/pay", "POST").await;
    assert_eq!((answer.status, answer.header("x-step-up-subject")), (200, Some("")));
    assert_eq!(preflight("/any", "POST").await.status, 401, "an endpoint handles OPTIONS");
    assert_eq!(preflight("/pay", "DELETE").await.status, 403, "no endpoint has this method");
    assert_eq!(preflight("/other", "POST").await.status, 403);
    assert_eq!(
        Answer::of(check_request(&gateway, "OPTIONS", "/pay")).await.status,
        403,
        "not a preflight"
    );
}

#[tokio::test]
async fn a_bound_token_requires_a_proof_for_the_clients_request() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let endpoint = json!({"path": "/pay", "security": {
        "step-up": true, "methods": ["mfa"], "bound": true,
    }});
    let settings =
        format!("{}\n[gateway]\nresource = \"https://api.example\"\n", issuer(idp.url()));
    let gateway = Gateway::start(&endpoint.to_string(), &settings, None).await;
    let holder = TestHolder::new(TestAlgorithm::Es256).expect("a key");
    let token = idp
        .token()
        .claim("amr", json!(["mfa"]))
        .claim("cnf", json!({"jkt": holder.thumbprint()}))
        .mint();
    let send = async |proof: String| {
        let request = check_request(&gateway, "POST", "/pay?x=1")
            .header("authorization", format!("DPoP {token}"))
            .header("dpop", proof);
        Answer::of(request).await
    };
    let proof = holder.proof("POST", "https://api.example/pay", &token).sign();
    assert_eq!(send(proof.clone()).await.status, 200);
    let again = send(proof).await;
    assert_eq!(
        (again.status, &*again.parameter("error").unwrap_or_default()),
        (401, "invalid_dpop_proof")
    );
    // A proof for the check request is refused.
    let other = holder.proof("GET", "https://api.example/_stepup", &token).sign();
    assert_eq!(send(other).await.status, 401);
    assert_eq!(status(&gateway, "POST", "/pay", &idp.mfa_token()).await, 401);
}

#[tokio::test]
async fn the_admin_server_reports_health_and_metrics() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    assert_eq!(gateway.admin("/livez").await.status, 200);
    assert_eq!(gateway.admin("/readyz").await.status, 200);
    assert_eq!(gateway.admin("/other").await.status, 404);
    status(&gateway, "POST", "/pay", &idp.mfa_token()).await;
    status(&gateway, "POST", "/pay", &idp.password_token()).await;
    status(&gateway, "POST", "/pay", "x").await;
    let metrics = gateway.admin("/metrics").await;
    assert!(metrics.header("content-type").is_some_and(|kind| kind.contains("openmetrics")));
    for line in [
        "stepup_answers_total{mode=\"nginx\",decision=\"allow\"} 1",
        "stepup_answers_total{mode=\"nginx\",decision=\"insufficient-user-authentication\"} 1",
        "stepup_answers_total{mode=\"nginx\",decision=\"invalid-token\"} 1",
        "stepup_endpoints{trust=\"sensitive\"} 1",
        "stepup_endpoints{trust=\"standard\"} 2",
    ] {
        assert!(metrics.body.contains(line), "{line} is not in\n{}", metrics.body);
    }
    // The system reuses ports, so a late request of another test may be counted as well. Both metrics count it.
    let sum = |prefix: &str| -> u64 {
        let lines = metrics.body.lines().filter(|line| line.starts_with(prefix));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    };
    assert!(sum("stepup_answers_total") >= 3, "{}", metrics.body);
    assert_eq!(sum("stepup_answer_seconds_count"), sum("stepup_answers_total"));
    assert!(!metrics.body.contains("alice"), "metrics contain no subject");
}

#[tokio::test]
async fn flags_override_the_environment_which_overrides_the_file() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let settings = format!(
        "{}\n[gateway]\nidentity = [\"subject=X-User\"]\nmax-concurrency = 7\n",
        issuer("https://nobody.example")
    );
    let contract = contract(&json!(["mfa"])).to_string();
    let arguments = ["--issuer", idp.url(), "--audience", AUDIENCE];
    let gateway = Gateway::try_start(&contract, &settings, None, &arguments).await;
    let gateway = gateway.expect("it starts with the issuer of the flags");
    let request = check_request(&gateway, "POST", "/pay").bearer_auth(idp.mfa_token());
    let answer = Answer::of(request).await;
    assert_eq!((answer.status, answer.header("x-user")), (200, Some("alice")));
    assert_eq!(answer.header("x-step-up-subject"), None);

    // The environment overrides the file, and the flags override the environment.
    let variables = [
        ("STEPUP_ISSUER", idp.url()),
        ("STEPUP_AUDIENCE", AUDIENCE),
        ("STEPUP_IDENTITY", "subject=X-Caller"),
    ];
    for (arguments, header) in
        [(&[][..], "x-caller"), (&["--identity", "subject=X-Flag"], "x-flag")]
    {
        let gateway =
            Gateway::try_start_with_env(&variables, &contract, &settings, None, arguments).await;
        let gateway = gateway.expect("it starts with the issuer of the environment");
        let request = check_request(&gateway, "POST", "/pay").bearer_auth(idp.mfa_token());
        let answer = Answer::of(request).await;
        assert_eq!((answer.status, answer.header(header)), (200, Some("alice")), "{header}");
    }

    // The environment or a flag can disable an option that the file enables.
    let phr = self::contract(&json!(["phishing_resistant"])).to_string();
    let lenient = format!("{}\n[gateway]\nallow-unsatisfiable = true\n", issuer(idp.url()));
    let with = async |variables: &[(&str, &str)], arguments: &[&str]| {
        let started = Gateway::try_start_with_env(variables, &phr, &lenient, None, arguments).await;
        started.map(|_| ())
    };
    let off = ("STEPUP_ALLOW_UNSATISFIABLE", "false");
    assert_eq!(with(&[], &[]).await, Ok(()));
    assert!(with(&[off], &[]).await.is_err());
    assert!(with(&[], &["--allow-unsatisfiable=false"]).await.is_err());
    assert_eq!(with(&[off], &["--allow-unsatisfiable"]).await, Ok(()));

    let startup_error_with = |name: &str, value: &str| {
        let mut command = Command::new(stepup());
        command.arg("gateway").env_remove("STEPUP_ISSUER").env(name, value);
        let output = command.output().expect("it ends");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let error = startup_error_with("STEPUP_CONTRACT", "no-such-contract.json");
    assert!(error.contains("no-such-contract.json"), "{error}");
    let error = startup_error_with("STEPUP_LISTEN", "apache=127.0.0.1:1");
    assert!(error.contains("the modes are nginx"), "{error}");
}

#[tokio::test]
async fn every_issuer_flag_has_an_environment_variable() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let contract = contract(&json!(["mfa"])).to_string();
    let (url, with_issuer) = (idp.url(), issuer(idp.url()));
    let flags = ["--issuer", url, "--audience", AUDIENCE];
    let name = ("STEPUP_ISSUER", url);
    let audience = ("STEPUP_AUDIENCE", &*format!("https://other.example {AUDIENCE}"));
    let status_with = async |variables: &[(&str, &str)], flags: &[&str], file: &str| {
        let gateway = Gateway::try_start_with_env(variables, &contract, file, None, flags).await?;
        Ok::<_, String>(status(&gateway, "POST", "/pay", &idp.mfa_token()).await)
    };
    for (variables, flags, status) in [
        (&[name, audience][..], &[][..], 200),
        (&[audience], &["--issuer", url], 200),
        (&[name], &["--audience", AUDIENCE], 200),
        (&[name, audience, ("STEPUP_DPOP_REQUIRED", "False")], &[], 200),
        (&[name, audience, ("STEPUP_DPOP_REQUIRED", "")], &[], 200),
        // Variables with issuer settings also apply to an issuer that the flags name.
        (&[("STEPUP_MAY_NOT_STEP_UP", "On")], &flags, 403),
        (&[("STEPUP_ASK", "mfa=urn:a,urn:b otp=urn:c"), ("STEPUP_LAZY", "no")], &flags, 200),
    ] {
        assert_eq!(status_with(variables, flags, "").await, Ok(status), "{variables:?} {flags:?}");
    }
    for (variables, flags, file, why) in [
        (&[("STEPUP_CLOCK_SKEW", "soon")][..], &flags[..], "", "'soon' for '--clock-skew"),
        (&[("STEPUP_DPOP_REQUIRED", "maybe")], &flags, "", "'maybe' for '--dpop-required'"),
        (&[("STEPUP_PROVIDER", "octa")], &flags, "", "'octa' for '--provider"),
        // The variable does not apply to the issuers of the file, so the error requires an issuer from a flag.
        (&[("STEPUP_DPOP_REQUIRED", "true")], &[], &with_issuer, "--issuer <URL>"),
    ] {
        let error = status_with(variables, flags, file).await.expect_err("it does not start");
        assert!(error.contains(why), "{variables:?}: {error}");
    }
}

#[tokio::test]
async fn a_startup_error_states_the_cause() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let good = contract(&json!(["mfa"])).to_string();
    let (named, auth) = (issuer(idp.url()), "[[issuers]]\nissuer = \"https://a.example\"\n");
    let per_action =
        r#"{"path": "/", "security": {"step-up": true, "methods": ["mfa"], "per-action": true}}"#;
    let phr = contract(&json!(["phishing_resistant"])).to_string();
    for (contract, settings, arguments, message) in [
        (&*good, &*format!("{named}audence = 1\n"), &[][..], "TOML parse error at line 5"),
        (&good, "[gateway]\nidentity = [\"who=X\"]\n", &[], "unknown \"who\"; one of subject"),
        (&good, "[lint]\n", &[], "unknown field `lint`"),
        (&good, "", &[], "no issuer; use --issuer"),
        (&good, auth, &[], "has no audience; use --audience"),
        (per_action, &named, &[], "per_action is not supported yet"),
        (
            &good,
            &named,
            &["--max-header-bytes", "10"],
            "max-header-bytes is 10; the minimum is 8192",
        ),
        (&phr, &named, &[], "no claim in this issuer's tokens proves `phishing_resistant`"),
        ("[]x", &named, &[], "not a contract"),
        (&good, &named, &["--identity", "subject=Host"], "`host` has another use"),
        (&good, &named, &["--listen", "apache=127.0.0.1:0"], "the modes are nginx, forward-auth"),
        (&good, &named, &["--listen", "nginx=192.0.2.1:1"], "cannot listen on 192.0.2.1:1"),
        (&good, &named, &["--listen", "nginx=localhost:1"], "is not an IP address with a port"),
    ] {
        let ended = Gateway::try_start(contract, settings, None, arguments).await;
        let log = ended.expect_err(message);
        assert!(log.contains(message), "{message:?} is not in {log:?}");
    }
    let output = run(stepup(), &["gateway", "--issuer", idp.url()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no contract; use --contract"));
}

/// Two issuers may each have a subject `alice`.
#[tokio::test]
async fn a_warning_is_logged_if_subjects_of_several_issuers_can_be_confused() {
    let (one, other) = tokio::join!(TestIssuer::start(), TestIssuer::start());
    let (one, other) = (one.expect("an issuer"), other.expect("an issuer"));
    let contract = contract(&json!(["mfa"])).to_string();
    let both = format!("{}{}", issuer(one.url()), issuer(other.url()));
    for (settings, tell, warns) in [
        (&both, "subject", true),
        (&both, "subject,issuer", false),
        (&both, "scopes", false),
        (&issuer(one.url()), "subject", false),
    ] {
        let arguments = ["--tell", tell];
        let gateway = Gateway::try_start(&contract, settings, None, &arguments).await;
        let (gateway, warning) =
            (gateway.expect("it starts"), "several issuers whose subjects may have the same name");
        if warns {
            gateway.wait_for_log(warning).await;
        } else {
            // The warning would be logged before this line.
            gateway.wait_for_log("the contract is loaded").await;
            assert!(!gateway.log().contains(warning), "{tell}: {}", gateway.log());
        }
    }
}
