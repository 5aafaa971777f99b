//! `stepup gateway` as a process: what it needs to start, whom it believes, and what it tells. How it reloads and
//! stops is in `gateway_life.rs`.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use serde_json::json;
use std::process::Command;
use stepup_runtime::testing::{AUDIENCE, TestAlgorithm, TestHolder, TestIssuer};
use stepup_tests::bank::{bank, contract, issuer, question, status};
use stepup_tests::command::{run, stepup};
use stepup_tests::envoy::{Asked, EnvoyClient};
use stepup_tests::gateways::Gateway;
use stepup_tests::server::Answer;

#[tokio::test]
async fn the_upstream_is_told_who_calls_in_every_mode() {
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
    let answer = Answer::of(question(&gateway, "POST", "/pay").bearer_auth(&token)).await;
    for (name, value) in expected {
        assert_eq!(answer.header(name), Some(value));
    }
    let mut envoy = EnvoyClient::connect(gateway.address("envoy-grpc")).await;
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", &*authorization)];
    let asked = Asked { method: "POST", target: "/pay", headers: &headers, raw: true };
    let ok = envoy.check(&asked).await.expect("let through");
    let told: Vec<(String, String)> = ok
        .headers
        .into_iter()
        .filter_map(|option| option.header.map(|header| (header.key, header.value)))
        .collect();
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(told, expected);
    assert_eq!(ok.headers_to_remove, [""; 0]);
}

#[tokio::test]
async fn what_is_not_known_is_taken_away() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let token = idp.token().without("client_id").mint();
    let answer = Answer::of(question(&gateway, "GET", "/me").bearer_auth(&token)).await;
    for name in ["client", "scopes", "amr", "acr"] {
        assert_eq!(answer.header(&format!("x-step-up-{name}")), Some(""), "{name}");
    }
    let mut envoy = EnvoyClient::connect(gateway.address("envoy-grpc")).await;
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", &*authorization)];
    let asked = Asked { method: "GET", target: "/me", headers: &headers, raw: true };
    let removed = envoy.check(&asked).await.expect("let through").headers_to_remove;
    let expected = ["client", "scopes", "amr", "acr"].map(|name| format!("x-step-up-{name}"));
    assert_eq!(removed, expected);
}

#[tokio::test]
async fn what_is_written_like_a_header_of_ours_is_refused_in_every_mode() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let (bearer, name) = (format!("Bearer {}", idp.mfa_token()), "x~step-up.subject");
    for mode in ["nginx", "forward-auth", "envoy-http"] {
        let question = reqwest::Client::new()
            .post(format!("http://{}/pay", gateway.address(mode)))
            .header("authorization", &bearer)
            .header(name, "mallory");
        let question = match mode {
            "nginx" => {
                question.header("x-original-method", "POST").header("x-original-uri", "/pay")
            }
            _ => question.header("x-forwarded-method", "POST").header("x-forwarded-uri", "/pay"),
        };
        let answer = Answer::of(question).await;
        assert_eq!(answer.status, 400, "{mode}: {}", answer.body);
        assert!(answer.body.contains("that of an identity header"), "{mode}: {}", answer.body);
    }
    let mut envoy = EnvoyClient::connect(gateway.address("envoy-grpc")).await;
    let headers = [("authorization", &*bearer), (name, "mallory")];
    for raw in [true, false] {
        let asked = Asked { method: "POST", target: "/pay", headers: &headers, raw };
        assert_eq!(envoy.check(&asked).await.expect_err("refused").status, 400, "raw {raw}");
    }
}

#[tokio::test]
async fn a_target_that_envoy_tells_in_two_ways_is_refused() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let mut envoy = EnvoyClient::connect(gateway.address("envoy-grpc")).await;
    let bearer = format!("Bearer {}", idp.mfa_token());
    for (told, status) in [("/pay", 200), ("/pay!", 400), ("/p\u{e9}y", 400)] {
        let headers = [("authorization", &*bearer), (":path", told)];
        let asked = Asked { method: "POST", target: "/pay", headers: &headers, raw: true };
        let answered = envoy.check(&asked).await.map_or_else(|refused| refused.status, |_| 200);
        assert_eq!(answered, status, "{told}");
    }
}

#[tokio::test]
async fn a_credential_that_stands_twice_is_refused_in_every_mode() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let bearer = format!("Bearer {}", idp.mfa_token());
    let twice = question(&gateway, "POST", "/pay")
        .header("authorization", &bearer)
        .header("authorization", &bearer);
    assert_eq!(Answer::of(twice).await.status, 400);
    let query = question(&gateway, "POST", "/pay?access_token=x").header("authorization", &bearer);
    assert_eq!(Answer::of(query).await.status, 400);
    let mut envoy = EnvoyClient::connect(gateway.address("envoy-grpc")).await;
    let headers = [("authorization", &*bearer), ("authorization", &*bearer)];
    for raw in [true, false] {
        let asked = Asked { method: "POST", target: "/pay", headers: &headers, raw };
        assert_eq!(envoy.check(&asked).await.expect_err("refused").status, 400, "raw {raw}");
    }
}

#[tokio::test]
async fn a_preflight_passes_only_where_no_endpoint_takes_options() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let preflight = async |target: &str, method: &str| {
        let asked = question(&gateway, "OPTIONS", target)
            .header("origin", "https://app.example")
            .header("access-control-request-method", method);
        Answer::of(asked).await
    };
    let answer = preflight("/pay", "POST").await;
    assert_eq!((answer.status, answer.header("x-step-up-subject")), (200, Some("")));
    assert_eq!(preflight("/any", "POST").await.status, 401, "an endpoint takes it");
    assert_eq!(preflight("/pay", "DELETE").await.status, 403, "for no endpoint");
    assert_eq!(preflight("/other", "POST").await.status, 403);
    assert_eq!(Answer::of(question(&gateway, "OPTIONS", "/pay")).await.status, 403, "no preflight");
}

#[tokio::test]
async fn a_bound_token_needs_its_proof_for_the_clients_own_request() {
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
    let shown = async |proof: String| {
        let asked = question(&gateway, "POST", "/pay?x=1")
            .header("authorization", format!("DPoP {token}"))
            .header("dpop", proof);
        Answer::of(asked).await
    };
    let proof = holder.proof("POST", "https://api.example/pay", &token).sign();
    assert_eq!(shown(proof.clone()).await.status, 200);
    let again = shown(proof).await;
    assert_eq!(
        (again.status, &*again.parameter("error").unwrap_or_default()),
        (401, "invalid_dpop_proof")
    );
    // Not for what the gateway itself was asked.
    let other = holder.proof("GET", "https://api.example/_stepup", &token).sign();
    assert_eq!(shown(other).await.status, 401);
    assert_eq!(status(&gateway, "POST", "/pay", &idp.mfa_token()).await, 401);
}

#[tokio::test]
async fn operators_are_told_how_it_is() {
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
    // Another test's question may have come to a port that was free before: each answer is counted in both.
    let sum = |prefix: &str| -> u64 {
        let lines = metrics.body.lines().filter(|line| line.starts_with(prefix));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    };
    assert!(sum("stepup_answers_total") >= 3, "{}", metrics.body);
    assert_eq!(sum("stepup_answer_seconds_count"), sum("stepup_answers_total"));
    assert!(!metrics.body.contains("alice"), "nobody is named");
}

#[tokio::test]
async fn flags_come_before_the_environment_and_that_before_the_file() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let settings = format!(
        "{}\n[gateway]\nidentity = [\"subject=X-User\"]\nmax-concurrency = 7\n",
        issuer("https://nobody.example")
    );
    let contract = contract(&json!(["mfa"])).to_string();
    let arguments = ["--issuer", idp.url(), "--audience", AUDIENCE];
    let gateway = Gateway::try_start(&contract, &settings, None, &arguments).await;
    let gateway = gateway.expect("the issuer of the flags is there");
    let asked = question(&gateway, "POST", "/pay").bearer_auth(idp.mfa_token());
    let answer = Answer::of(asked).await;
    assert_eq!((answer.status, answer.header("x-user")), (200, Some("alice")));
    assert_eq!(answer.header("x-step-up-subject"), None);

    // The environment comes before the file, and behind the flags.
    let variables = [
        ("STEPUP_ISSUER", idp.url()),
        ("STEPUP_AUDIENCE", AUDIENCE),
        ("STEPUP_IDENTITY", "subject=X-Caller"),
    ];
    for (arguments, header) in
        [(&[][..], "x-caller"), (&["--identity", "subject=X-Flag"], "x-flag")]
    {
        let gateway =
            Gateway::try_start_in(&variables, &contract, &settings, None, arguments).await;
        let gateway = gateway.expect("the issuer of the environment is there");
        let asked = question(&gateway, "POST", "/pay").bearer_auth(idp.mfa_token());
        let answer = Answer::of(asked).await;
        assert_eq!((answer.status, answer.header(header)), (200, Some("alice")), "{header}");
    }

    // What the file switches on, the environment and a flag switch off.
    let phr = self::contract(&json!(["phishing_resistant"])).to_string();
    let lenient = format!("{}\n[gateway]\nallow-unsatisfiable = true\n", issuer(idp.url()));
    let with = async |variables: &[(&str, &str)], arguments: &[&str]| {
        let started = Gateway::try_start_in(variables, &phr, &lenient, None, arguments).await;
        started.map(|_| ())
    };
    let off = ("STEPUP_ALLOW_UNSATISFIABLE", "false");
    assert_eq!(with(&[], &[]).await, Ok(()));
    assert!(with(&[off], &[]).await.is_err());
    assert!(with(&[], &["--allow-unsatisfiable=false"]).await.is_err());
    assert_eq!(with(&[off], &["--allow-unsatisfiable"]).await, Ok(()));

    let of_the_environment = |name: &str, value: &str| {
        let mut command = Command::new(stepup());
        command.arg("gateway").env_remove("STEPUP_ISSUER").env(name, value);
        let output = command.output().expect("it ends");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = of_the_environment("STEPUP_CONTRACT", "no-such-contract.json");
    assert!(said.contains("no-such-contract.json"), "{said}");
    let said = of_the_environment("STEPUP_LISTEN", "apache=127.0.0.1:1");
    assert!(said.contains("the modes are nginx"), "{said}");
}

#[tokio::test]
async fn every_flag_of_the_issuer_can_come_from_the_environment() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let contract = contract(&json!(["mfa"])).to_string();
    let (url, of_the_file) = (idp.url(), issuer(idp.url()));
    let flags = ["--issuer", url, "--audience", AUDIENCE];
    let name = ("STEPUP_ISSUER", url);
    let audience = ("STEPUP_AUDIENCE", &*format!("https://other.example {AUDIENCE}"));
    let status_with = async |variables: &[(&str, &str)], flags: &[&str], file: &str| {
        let gateway = Gateway::try_start_in(variables, &contract, file, None, flags).await?;
        Ok::<_, String>(status(&gateway, "POST", "/pay", &idp.mfa_token()).await)
    };
    for (variables, flags, status) in [
        (&[name, audience][..], &[][..], 200),
        (&[audience], &["--issuer", url], 200),
        (&[name], &["--audience", AUDIENCE], 200),
        (&[name, audience, ("STEPUP_DPOP_REQUIRED", "False")], &[], 200),
        (&[name, audience, ("STEPUP_DPOP_REQUIRED", "")], &[], 200),
        // What is said of an issuer holds for one that the flags name, too.
        (&[("STEPUP_MAY_NOT_STEP_UP", "On")], &flags, 403),
        (&[("STEPUP_ASK", "mfa=urn:a,urn:b otp=urn:c"), ("STEPUP_LAZY", "no")], &flags, 200),
    ] {
        assert_eq!(status_with(variables, flags, "").await, Ok(status), "{variables:?} {flags:?}");
    }
    for (variables, flags, file, why) in [
        (&[("STEPUP_CLOCK_SKEW", "soon")][..], &flags[..], "", "'soon' for '--clock-skew"),
        (&[("STEPUP_DPOP_REQUIRED", "maybe")], &flags, "", "'maybe' for '--dpop-required'"),
        (&[("STEPUP_PROVIDER", "octa")], &flags, "", "'octa' for '--provider"),
        // It is not known of which of the file's issuers it is said.
        (&[("STEPUP_DPOP_REQUIRED", "true")], &[], &of_the_file, "--issuer <URL>"),
    ] {
        let said = status_with(variables, flags, file).await.expect_err("it does not start");
        assert!(said.contains(why), "{variables:?}: {said}");
    }
}

#[tokio::test]
async fn what_keeps_it_from_starting_is_told_with_the_line() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let good = contract(&json!(["mfa"])).to_string();
    let (named, auth) = (issuer(idp.url()), "[[issuers]]\nissuer = \"https://a.example\"\n");
    let per_action =
        r#"{"path": "/", "security": {"step-up": true, "methods": ["mfa"], "per-action": true}}"#;
    let phr = contract(&json!(["phishing_resistant"])).to_string();
    for (contract, settings, arguments, said) in [
        (&*good, &*format!("{named}audence = 1\n"), &[][..], "TOML parse error at line 5"),
        (&good, "[gateway]\nidentity = [\"who=X\"]\n", &[], "unknown \"who\"; one of subject"),
        (&good, "[lint]\n", &[], "unknown field `lint`"),
        (&good, "", &[], "no issuer; say --issuer"),
        (&good, auth, &[], "has no audience; say --audience"),
        (per_action, &named, &[], "this version cannot enforce per_action"),
        (&good, &named, &["--max-header-bytes", "10"], "max-header-bytes is 10; the least is 8192"),
        (&phr, &named, &[], "nothing in this issuer's tokens proves `phishing_resistant`"),
        ("[]x", &named, &[], "not a contract"),
        (&good, &named, &["--identity", "subject=Host"], "`host` is needed for something else"),
        (&good, &named, &["--listen", "apache=127.0.0.1:0"], "the modes are nginx, forward-auth"),
        (&good, &named, &["--listen", "nginx=192.0.2.1:1"], "cannot listen on 192.0.2.1:1"),
        (&good, &named, &["--listen", "nginx=localhost:1"], "is no IP address with a port"),
    ] {
        let ended = Gateway::try_start(contract, settings, None, arguments).await;
        let log = ended.expect_err(said);
        assert!(log.contains(said), "{said:?} is not in {log:?}");
    }
    let output = run(stepup(), &["gateway", "--issuer", idp.url()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no contract; say --contract"));
}

/// Two issuers may each have an `alice`.
#[tokio::test]
async fn that_subjects_of_several_issuers_are_not_told_apart_is_said() {
    let (one, other) = tokio::join!(TestIssuer::start(), TestIssuer::start());
    let (one, other) = (one.expect("an issuer"), other.expect("an issuer"));
    let contract = contract(&json!(["mfa"])).to_string();
    let both = format!("{}{}", issuer(one.url()), issuer(other.url()));
    for (settings, tell, said) in [
        (&both, "subject", true),
        (&both, "subject,issuer", false),
        (&both, "scopes", false),
        (&issuer(one.url()), "subject", false),
    ] {
        let arguments = ["--tell", tell];
        let gateway = Gateway::try_start(&contract, settings, None, &arguments).await;
        let (gateway, warning) =
            (gateway.expect("it starts"), "a subject of one can have the name");
        if said {
            gateway.logs(warning).await;
        } else {
            // What is logged later than the warning would be has come.
            gateway.logs("the contract is in force").await;
            assert!(!gateway.log().contains(warning), "{tell}: {}", gateway.log());
        }
    }
}
