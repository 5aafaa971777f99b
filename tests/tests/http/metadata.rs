//! The metadata of the API (RFC 9728), its published contract, and the responses to a client that has
//! already attempted a step-up.

use axum::Router;
use serde_json::{Value, json};
use std::panic::AssertUnwindSafe;
use stepup_runtime::testing::TestIssuer;
use stepup_runtime::{
    BuildError, Builder, Contract, ContractEnforcer, Method, StepUp, routes, step_up,
};
use stepup_tests::log::Log;
use stepup_tests::server::{Answer, Server};

#[step_up(get = "/profile", trust = "standard", scopes = ["read"])]
async fn profile() -> &'static str {
    "reached"
}

#[step_up(post = "/approve", methods = ["mfa"], max_age = 300, scopes = ["pay", "read"])]
async fn approve() -> &'static str {
    "approved"
}

async fn serve(idp: &TestIssuer, change: impl FnOnce(Builder) -> Builder) -> Server {
    let builder = StepUp::builder()
        .issuer(idp.issuer().ask(Method::Mfa, ["gold"]).proves("gold", [Method::Mfa]));
    let step_up = change(builder).build().await.expect("built");
    let app: Router<StepUp> = routes![profile, approve];
    Server::start(app.merge(step_up.metadata_routes()).with_state(step_up)).await
}

/// The contract of the two handlers.
fn contract() -> Contract {
    let document = json!({"contract": 1, "service": "bank", "version": "1", "endpoints": [
        {"method": "GET", "path": "/profile", "security": {"step-up": false, "scopes": ["read"]}},
        {"method": "POST", "path": "/approve",
         "security": {"step-up": true, "methods": ["mfa"], "max-age": 300, "scopes": ["pay", "read"]}},
    ]});
    Contract::parse(document.to_string()).expect("a contract")
}

const METADATA: &str = "/.well-known/oauth-protected-resource";
const CONTRACT: &str = "/.well-known/step-up-contract";

#[tokio::test]
async fn the_metadata_follows_rfc_9728_and_challenges_contain_its_url() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let contract = contract();
    let server = serve(&idp, |b| b.resource("https://api.test").contract(contract)).await;
    let answer = server.call("GET", METADATA, None).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        answer.json(),
        json!({
            "resource": "https://api.test",
            "authorization_servers": [idp.url()],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["pay", "read"],
            "dpop_signing_alg_values_supported": [
                "ES256", "ES384", "EdDSA", "Ed25519", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
            ],
            "dpop_bound_access_tokens_required": false,
        })
    );
    assert_eq!(server.call("GET", CONTRACT, None).await.status, 404, "it is not published");

    let url = "https://api.test/.well-known/oauth-protected-resource";
    let weak = idp.token().claim("scope", "pay read").mint();
    for (what, answer) in [
        ("no credential", server.call("GET", "/profile", None).await),
        ("a bad token", server.call("GET", "/profile", Some("x")).await),
        ("a missing scope", server.call("GET", "/profile", Some(&idp.mfa_token())).await),
        ("a step-up", server.call("POST", "/approve", Some(&weak)).await),
    ] {
        assert_eq!(answer.parameter("resource_metadata").as_deref(), Some(url), "{what}");
        let in_body = answer.json()["resource_metadata"] == url;
        assert_eq!(in_body, answer.parameter("scope").is_some(), "{what}: only for valid tokens");
    }
}

#[tokio::test]
async fn a_published_contract_is_served_with_its_digest() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let contract = contract();
    let expected = (contract.to_json(), format!("\"{}\"", contract.digest()));
    let publish =
        |b: Builder| b.resource("https://api.test").contract(contract).publish_contract(true);
    let server = serve(&idp, publish).await;
    let metadata = server.call("GET", METADATA, None).await.json();
    assert_eq!(metadata["step_up_contract"], format!("https://api.test{CONTRACT}"));
    let answer = server.call("GET", CONTRACT, None).await;
    assert_eq!((answer.status, &answer.body), (200, &expected.0));
    assert_eq!(answer.header("etag"), Some(expected.1.as_str()));
    let client = reqwest::Client::new();
    let conditional =
        |tag: &str| client.get(server.url(CONTRACT)).header("if-none-match", tag.to_owned());
    let again = Answer::of(conditional(&format!("\"x\", W/{}", expected.1))).await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    assert_eq!(Answer::of(conditional("\"x\"")).await.status, 200);
}

#[tokio::test]
async fn the_well_known_path_precedes_the_path_of_the_resource() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let server = serve(&idp, |b| b.resource("https://gate.test/v1")).await;
    let path = format!("{METADATA}/v1");
    let answer = server.call("GET", &path, None).await;
    assert_eq!(answer.json()["resource"], "https://gate.test/v1");
    let refused = server.call("GET", "/profile", None).await;
    let url = format!("https://gate.test{path}");
    assert_eq!(refused.parameter("resource_metadata"), Some(url));
}

#[tokio::test]
async fn configuration_mistakes_are_reported_at_startup() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let builder = || StepUp::builder().issuer(idp.issuer());
    let nothing = builder().publish_contract(true).build().await;
    assert!(matches!(nothing, Err(BuildError::NothingToPublish)));
    for resource in ["api.test", "https://api.test?x", "http://api.example"] {
        let built = builder().resource(resource).build().await;
        assert!(matches!(built, Err(BuildError::Resource(_))), "{resource}");
    }
    let step_up = builder().build().await.expect("built");
    let panic = std::panic::catch_unwind(AssertUnwindSafe(|| step_up.metadata_routes::<()>()));
    assert!(panic.is_err(), "metadata requires a resource URL");
}

async fn attempt(server: &Server, token: &str, header: Option<&str>) -> Answer {
    let mut request = reqwest::Client::new().post(server.url("/approve")).bearer_auth(token);
    if let Some(value) = header {
        request = request.header("step-up-attempt", value);
    }
    Answer::of(request).await
}

#[tokio::test]
async fn a_preflight_for_the_metadata_is_answered() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let builder = StepUp::builder().issuer(idp.issuer()).resource("https://api.test");
    let step_up = builder.build().await.expect("built");
    let server = Server::start(step_up.metadata_routes()).await;
    let answer = server.call("OPTIONS", "/.well-known/oauth-protected-resource", None).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    assert_eq!(answer.headers["allow"], "GET, HEAD, OPTIONS");
}

#[tokio::test]
async fn a_retry_that_is_still_insufficient_is_reported_with_the_reason() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let server = serve(&idp, |b| b.resource("https://api.test")).await;
    let token = idp.token().claim("amr", json!(["pwd", "sms"])).claim("scope", "pay read");
    let token = token.claim("acr", "silver").without("auth_time").mint();
    let first = attempt(&server, &token, None).await;
    let kind = "urn:stepup:problem:insufficient-user-authentication";
    assert_eq!(first.json()["type"], kind);
    for header in ["1", "2", "17"] {
        let again = attempt(&server, &token, Some(header)).await;
        assert_eq!(again.status, first.status);
        assert_eq!(again.header("www-authenticate"), first.header("www-authenticate"));
        let body = again.json();
        assert_eq!(body["type"], "urn:stepup:problem:step-up-unmet");
        assert_eq!(
            body["detail"],
            "the new token is not sufficient either; requested: acr_values \"gold\", max_age 300, \
             scope \"pay read\"; received: acr \"silver\", amr \"pwd sms\", auth_time none, \
             scope \"pay read\""
        );
        assert_eq!(body["acr_values"], "gold");
    }
    for invalid in ["0", "-1", "x", "", "1.5", "99999999999"] {
        assert_eq!(attempt(&server, &token, Some(invalid)).await.json()["type"], kind, "{invalid}");
    }
}

#[tokio::test]
async fn the_attempt_header_never_affects_the_decision() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let server = serve(&idp, |b| b.resource("https://api.test")).await;
    let scoped = |token: Value| idp.token().claim("amr", token).claim("scope", "pay read").mint();
    for (token, expected) in [
        (scoped(json!(["mfa"])), 200),
        (scoped(json!(["pwd"])), 401),
        (idp.mfa_token(), 403),
        ("x".to_owned(), 401),
    ] {
        for header in [None, Some("1"), Some("2"), Some("x")] {
            let answer = attempt(&server, &token, header).await;
            assert_eq!(answer.status, expected, "{header:?}");
            let unmet = answer.body.contains("step-up-unmet");
            let recoverable = answer.parameter("scope").is_some();
            assert_eq!(unmet, recoverable && header.is_some_and(|h| h != "x"), "{header:?}");
        }
    }
}

#[tokio::test]
async fn the_log_names_the_missing_claim_and_its_expected_path() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let issuer = idp.issuer().adjust(|profile| profile.amr_claim(["session", "amr"]));
    let step_up = StepUp::builder().issuer(issuer).build().await.expect("built");
    let contract = contract();
    let approve = contract.endpoints().iter().find(|e| e.path == "/approve").expect("the endpoint");
    let token = idp.token().claim("amr", json!(["mfa"])).claim("auth_time", 1).mint();
    let request =
        http::Request::post("/approve").header("authorization", format!("Bearer {token}"));
    let (head, ()) = request.header("step-up-attempt", "1").body(()).expect("valid").into_parts();
    let log = Log::default();
    let refused = {
        let _log = tracing::subscriber::set_default(log.clone());
        step_up.enforce(approve, (&head).into()).await
    };
    assert!(refused.is_err());
    let lines = log.lines().join("\n");
    assert!(lines.contains("WARN"), "{lines}");
    assert!(lines.contains("POST /approve"), "{lines}");
    assert!(lines.contains("session → amr: missing"), "{lines}");
    assert!(lines.contains("auth_time: insufficient"), "{lines}");
    assert!(!lines.contains(&token), "the log must not contain the token");
}

#[tokio::test]
async fn each_refusal_is_one_log_event_without_the_token() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let step_up = StepUp::builder().issuer(idp.issuer()).build().await.expect("built");
    let enforcer = ContractEnforcer::new(&contract(), step_up);
    let wrong_audience = idp.token().claim("aud", "https://other.example").mint();
    for (what, path, token, header, reason) in [
        ("no token", "/profile", None, None, "send an access token"),
        ("a malformed token", "/profile", Some("x".to_owned()), None, "not a signed JWT"),
        ("a wrong audience", "/profile", Some(wrong_audience), None, "another audience"),
        ("a missing scope", "/profile", Some(idp.mfa_token()), None, "lacks a scope"),
        ("an unlisted path", "/other", Some(idp.mfa_token()), None, "no endpoint of the contract"),
        ("an override", "/profile", None, Some("x-http-method-override"), "second HTTP method"),
    ] {
        let mut request = http::Request::get(path);
        if let Some(token) = &token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(header) = header {
            request = request.header(header, "POST");
        }
        let (head, ()) = request.body(()).expect("a request").into_parts();
        let log = Log::default();
        let outcome = {
            let _log = tracing::subscriber::set_default(log.clone());
            enforcer.enforce((&head).into()).await
        };
        assert!(outcome.is_err(), "{what}");
        let lines = log.lines();
        let refusals: Vec<_> =
            lines.iter().filter(|line| line.contains("stepup::refusal")).collect();
        assert_eq!(refusals.len(), 1, "{what}: {lines:?}");
        assert!(
            refusals[0].starts_with("DEBUG") && refusals[0].contains(reason),
            "{what}: {lines:?}"
        );
        let secret = token.as_deref().filter(|token| token.len() > 1);
        assert!(
            secret.is_none_or(|token| !lines.join("").contains(token)),
            "{what}: no token in the log"
        );
    }
}
