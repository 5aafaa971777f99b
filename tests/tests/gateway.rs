//! `stepup gateway` as a process: what it needs to start, whom it believes, how it reloads, and how it stops.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use serde_json::{Value, json};
use std::fs;
use std::process::Command;
use std::time::Duration;
use stepup_runtime::testing::{AUDIENCE, TestAlgorithm, TestHolder, TestIssuer};
use stepup_tests::command::{run, stepup};
use stepup_tests::envoy::{Asked, EnvoyClient};
use stepup_tests::gateways::Gateway;
use stepup_tests::scripted::{Script, Scripted};
use stepup_tests::server::Answer;
use stepup_tests::upstream::raw;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

fn issuer(idp: &str) -> String {
    format!(
        "[[issuers]]\nissuer = \"{idp}\"\naudience = \"{AUDIENCE}\"\nkey-refresh-cooldown = 0\n"
    )
}

fn contract(methods: &Value) -> Value {
    json!([
        {"method": "POST", "path": "/pay", "security": {"step-up": true, "methods": methods}},
        {"method": "GET", "path": "/me", "security": {"step-up": false}},
        {"path": "/any", "security": {"step-up": false}},
    ])
}

async fn bank(idp: &TestIssuer) -> Gateway {
    Gateway::start(&contract(&json!(["mfa"])).to_string(), &issuer(idp.url()), None).await
}

/// A question in nginx's way.
fn question(gateway: &Gateway, method: &str, target: &str) -> reqwest::RequestBuilder {
    reqwest::Client::new()
        .get(format!("http://{}/_stepup", gateway.address("nginx")))
        .header("x-original-method", method)
        .header("x-original-uri", target)
}

async fn status(gateway: &Gateway, method: &str, target: &str, token: &str) -> u16 {
    Answer::of(question(gateway, method, target).bearer_auth(token)).await.status
}

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
        assert!(answer.body.contains("tells the upstream who calls"), "{mode}: {}", answer.body);
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
async fn a_changed_contract_is_taken_without_a_pause_and_a_bad_one_is_not() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let (weak, strong) = (idp.password_token(), idp.mfa_token());
    // At once, so that nobody reads half of it.
    let write = |text: &str| {
        let new = gateway.contract.with_extension("new");
        fs::write(&new, text).expect("written");
        fs::rename(&new, &gateway.contract).expect("moved");
    };
    assert_eq!(status(&gateway, "POST", "/pay", &weak).await, 401);

    write(&contract(&json!(["pwd"])).to_string());
    let asked = Instant::now();
    while status(&gateway, "POST", "/pay", &weak).await != 200 {
        // Whichever is in force: nothing is dropped, and the strong token is good enough for both.
        assert_eq!(status(&gateway, "POST", "/pay", &strong).await, 200);
        assert!(asked.elapsed() < Duration::from_secs(10), "{}", gateway.log());
    }

    for (bad, why) in [
        ("{", "EOF"),
        (
            r#"[{"path": "/pay", "security": {"step-up": true}}]"#,
            "asks for methods, acr or max_age",
        ),
        (
            r#"[{"path": "/pay", "security": {"step-up": true, "methods": ["mfa"], "per-action": true}}]"#,
            "per_action",
        ),
        (
            r#"[{"path": "/pay", "security": {"step-up": true, "methods": ["phishing_resistant"]}}]"#,
            "phishing_resistant",
        ),
    ] {
        write(bad);
        gateway.logs(why).await;
        assert_eq!(status(&gateway, "POST", "/pay", &weak).await, 200);
    }
    assert_eq!(gateway.log().matches("the old one stays in force").count(), 4, "{}", gateway.log());
    let metrics = gateway.admin("/metrics").await.body;
    assert!(metrics.contains("stepup_contract_reloads_total{taken=\"yes\"} 1"), "{metrics}");
    assert!(metrics.contains("stepup_contract_reloads_total{taken=\"no\"} 4"), "{metrics}");

    write(&contract(&json!(["mfa"])).to_string());
    let asked = Instant::now();
    while status(&gateway, "POST", "/pay", &weak).await != 401 {
        assert!(asked.elapsed() < Duration::from_secs(10), "{}", gateway.log());
    }
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

/// An issuer by its scripted documents, a token of its key, and one of a key that it has not published yet.
async fn with_unknown_key() -> (Scripted, TestIssuer, [String; 2]) {
    let http = Scripted::start().await;
    let idp = TestIssuer::start().await.expect("an issuer");
    let keys = serde_json::from_str(&idp.jwks()).expect("keys");
    let document = json!({"issuer": http.url, "jwks_uri": format!("{}/jwks", http.url)});
    http.on("/.well-known/openid-configuration", Script::json(&document));
    http.on("/jwks", Script::json(&keys));
    let known = idp.token().claim("iss", http.url.as_str()).mint();
    idp.rotate_keeping("another", TestAlgorithm::Es256).expect("a key");
    let unknown = idp.token().claim("iss", http.url.as_str()).claim("amr", json!(["mfa"])).mint();
    (http, idp, [known, unknown])
}

/// Publishes the new key, to whoever waits for it.
fn publish_slowly(http: &Scripted, idp: &TestIssuer) {
    let keys = serde_json::from_str(&idp.jwks()).expect("keys");
    let time = Duration::from_millis(1500);
    http.on("/jwks", Script::After(time, Box::new(Script::json(&keys))));
}

#[tokio::test]
async fn a_question_that_was_asked_is_answered_before_it_stops() {
    let (http, idp, [_, unknown]) = with_unknown_key().await;
    let contract = contract(&json!(["mfa"])).to_string();
    let mut gateway = Gateway::start(&contract, &issuer(&http.url), None).await;
    publish_slowly(&http, &idp);
    let asked = question(&gateway, "POST", "/pay").bearer_auth(&unknown);
    let asked = tokio::spawn(Answer::of(asked));
    sleep(Duration::from_millis(500)).await;
    gateway.terminate();
    gateway.logs("stopping").await;
    assert_eq!(gateway.admin("/readyz").await.status, 503);
    assert_eq!(gateway.admin("/livez").await.status, 200);
    let late = question(&gateway, "POST", "/pay").send().await;
    assert!(late.is_err(), "no new connection is taken");
    assert_eq!(asked.await.expect("no panic").status, 200);
    assert!(gateway.ended().await);
}

#[tokio::test]
async fn who_asks_may_notice_that_it_stops() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let contract = contract(&json!(["mfa"])).to_string();
    let arguments = ["--drain-seconds", "2"];
    let started = Gateway::try_start(&contract, &issuer(idp.url()), None, &arguments).await;
    let mut gateway = started.expect("it starts");
    gateway.terminate();
    gateway.logs("stopping").await;
    assert_eq!(gateway.admin("/readyz").await.status, 503);
    assert_eq!(status(&gateway, "POST", "/pay", &idp.mfa_token()).await, 200);
    assert!(gateway.ended().await);
}

#[tokio::test]
async fn who_says_nothing_holds_no_place_for_long() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let contract = contract(&json!(["mfa"])).to_string();
    let arguments = ["--max-connections", "2"];
    let started = Gateway::try_start(&contract, &issuer(idp.url()), None, &arguments).await;
    let gateway = started.expect("it starts");
    let begun = [&b""[..], b"PRI * HTTP/2.0\r\n"];
    let mut silent = Vec::new();
    for mode in ["nginx", "envoy-grpc"] {
        for begin in begun {
            let mut stream = TcpStream::connect(gateway.address(mode)).await.expect("connected");
            stream.write_all(begin).await.expect("written");
            silent.push(stream);
        }
    }
    let answered = async {
        assert_eq!(status(&gateway, "POST", "/pay", &idp.mfa_token()).await, 200);
        let mut envoy = EnvoyClient::connect(gateway.address("envoy-grpc")).await;
        let authorization = format!("Bearer {}", idp.mfa_token());
        let headers = [("authorization", &*authorization)];
        let asked = Asked { method: "POST", target: "/pay", headers: &headers, raw: true };
        assert!(envoy.check(&asked).await.is_ok());
    };
    timeout(Duration::from_secs(50), answered).await.expect("their places are free again");
    drop(silent);
}

#[tokio::test]
async fn more_questions_than_may_wait_for_an_issuer_are_put_off() {
    let (http, idp, [known, unknown]) = with_unknown_key().await;
    let contract = contract(&json!(["mfa"])).to_string();
    let (settings, limits) =
        (issuer(&http.url), ["--max-concurrency", "1", "--max-header-bytes", "9000"]);
    let gateway = Gateway::try_start(&contract, &settings, None, &limits).await.expect("started");
    publish_slowly(&http, &idp);
    assert_eq!(status(&gateway, "GET", "/me", &known).await, 200);
    let first = tokio::spawn(Answer::of(question(&gateway, "POST", "/pay").bearer_auth(&unknown)));
    sleep(Duration::from_millis(500)).await;
    assert_eq!(status(&gateway, "GET", "/me", &known).await, 200, "a known token waits for nobody");
    let second = Answer::of(question(&gateway, "POST", "/pay").bearer_auth(&unknown)).await;
    assert_eq!((second.status, second.header("retry-after")), (503, Some("1")));
    assert_eq!(first.await.expect("no panic").status, 200);
    assert_eq!(status(&gateway, "POST", "/pay", &unknown).await, 200);

    let long = format!("GET /_stepup HTTP/1.1\r\nx-long: {}\r\n\r\n", "x".repeat(100_000));
    assert!(raw(gateway.address("nginx"), long.as_bytes()).await.starts_with("HTTP/1.1 431"));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200));
    assert!(
        raw(gateway.address("forward-auth"), many.as_bytes()).await.starts_with("HTTP/1.1 431")
    );
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
        (per_action, &named, &[], "per_action is registered"),
        (&phr, &named, &[], "nothing in this issuer's tokens proves `phishing_resistant`"),
        ("[]x", &named, &[], "not a contract"),
        (&good, &named, &["--identity", "subject=Host"], "`host` is needed for something else"),
        (&good, &named, &["--listen", "apache=127.0.0.1:0"], "the modes are nginx, forward-auth"),
        (&good, &named, &["--listen", "nginx=192.0.2.1:1"], "cannot listen on 192.0.2.1:1"),
    ] {
        let ended = Gateway::try_start(contract, settings, None, arguments).await;
        let log = ended.expect_err(said);
        assert!(log.contains(said), "{said:?} is not in {log:?}");
    }
    let output = run(stepup(), &["gateway", "--issuer", idp.url()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no contract; say --contract"));
}
