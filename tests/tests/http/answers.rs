//! Every documented HTTP response, over a real socket: status, challenge, headers and body.

use axum::extract::{Extension, FromRef, Request};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use stepup_runtime::testing::{AUDIENCE, TestAlgorithm, TestClock, TestIssuer};
use stepup_runtime::{
    Cause, Contract, Denial, Issuer, Method, Principal, Refusal, StepUp, routes, step_up,
};
use stepup_tests::paused_time::eventually;
use stepup_tests::server::{Answer, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Clone, FromRef)]
struct AppState {
    step_up: StepUp,
}

#[step_up(get = "/standard", trust = "standard")]
async fn standard(user: Principal) -> Json<Value> {
    let claims: Value = user.claims().expect("claims are JSON");
    Json(json!({
        "subject": user.subject(), "issuer": user.issuer(), "client": user.client(),
        "scopes": user.scopes(), "amr": user.amr(), "acr": user.acr(),
        "auth_time": user.auth_time(), "tenant": claims["tenant"],
    }))
}

#[step_up(post = "/sensitive", methods = ["mfa"], max_age = 300, scopes = ["pay", "read"])]
async fn sensitive(_: Json<Value>) -> &'static str {
    "reached"
}

#[step_up(get = "/acr", acr = ["gold", "silver"])]
async fn acr() -> &'static str {
    "reached"
}

#[step_up(any = "/any", max_age = 60)]
async fn any_method() -> &'static str {
    "reached"
}

#[step_up(get = "/scoped", trust = "standard", scopes = ["read"])]
async fn scoped() -> &'static str {
    "reached"
}

#[step_up(methods = ["mfa"], max_age = 300)]
async fn late() -> &'static str {
    "reached"
}

fn app() -> Router<AppState> {
    routes![standard, sensitive, acr, any_method, scoped, POST "/late/{id}" => late]
}

struct Setup {
    idp: TestIssuer,
    clock: TestClock,
    server: Server,
}

async fn setup_with(app: Router<AppState>) -> Setup {
    let idp = TestIssuer::start().await.expect("an issuer");
    let clock = TestClock::system();
    let issuer = idp.issuer().key_refresh_cooldown(Duration::from_millis(200));
    let step_up = StepUp::builder().issuer(issuer).clock(clock.clone()).build().await;
    let state = AppState { step_up: step_up.expect("built") };
    let server = Server::start(app.with_state(state)).await;
    Setup { idp, clock, server }
}

async fn setup() -> Setup {
    setup_with(app()).await
}

/// Asserts the properties that all refusals share.
#[track_caller]
fn assert_refusal(answer: &Answer, status: u16, kind: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("access-control-expose-headers"), Some("WWW-Authenticate"));
    let body = answer.json();
    assert_eq!(body["type"], format!("urn:stepup:problem:{kind}"));
    assert_eq!(body["status"], status);
    assert!(body["title"].is_string() && body["detail"].is_string());
    for (_, text) in answer.challenge().map(|(_, parameters)| parameters).unwrap_or_default() {
        let allowed = |c: char| matches!(c, ' '..='!' | '#'..='[' | ']'..='~');
        assert!(text.chars().all(allowed), "RFC 6750 forbids a character of {text:?}");
    }
}

/// Asserts that a refusal does not reveal the requirement of the endpoint.
#[track_caller]
fn assert_reveals_nothing(answer: &Answer) {
    for name in ["acr_values", "max_age", "scope"] {
        assert!(answer.parameter(name).is_none() && answer.json()[name].is_null(), "{answer:?}");
    }
}

#[tokio::test]
async fn no_credential_is_401_with_a_bare_challenge() {
    let Setup { server, .. } = setup().await;
    for path in ["/standard", "/acr", "/any"] {
        let answer = server.call("GET", path, None).await;
        assert_refusal(&answer, 401, "credential-required");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert_reveals_nothing(&answer);
    }
}

#[tokio::test]
async fn a_token_in_the_query_is_not_a_credential() {
    let Setup { idp, server, .. } = setup().await;
    let path = format!("/standard?access_token={}", idp.mfa_token());
    assert_refusal(&server.call("GET", &path, None).await, 401, "credential-required");
}

#[tokio::test]
async fn two_credentials_or_a_malformed_one_are_400() {
    let Setup { idp, server, .. } = setup().await;
    let token = idp.mfa_token();
    let client = reqwest::Client::new();
    let url = server.url("/standard");
    let bearer = format!("Bearer {token}");
    let requests = [
        client.get(&url).header("authorization", &bearer).header("authorization", &bearer),
        client.get(&url).header("authorization", format!("{bearer}, {bearer}")),
        client.get(&url).header("authorization", format!("Basic YTpi, {bearer}")),
        client.get(format!("{url}?access_token={token}")).bearer_auth(&token),
        client.get(&url).header("authorization", "Bearer"),
        client.get(&url).header("authorization", format!("{bearer} x")),
    ];
    for request in requests {
        let answer = Answer::of(request).await;
        assert_refusal(&answer, 400, "invalid-request");
        assert_eq!(answer.parameter("error").as_deref(), Some("invalid_request"));
        assert_reveals_nothing(&answer);
    }
}

#[tokio::test]
async fn an_invalid_token_is_401_and_reveals_no_requirement() {
    let Setup { idp, server, clock } = setup().await;
    let stranger = TestIssuer::start().await.expect("another issuer");
    let mfa =
        |idp: &TestIssuer| idp.token().claim("amr", json!(["mfa"])).claim("scope", "pay read");
    let good = mfa(&idp).mint();
    let (message, signature) = good.rsplit_once('.').expect("three parts");
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let bad = [
        ("garbage", "garbage".to_owned()),
        ("two parts", message.to_owned()),
        ("a wrong signature", format!("{message}.{flipped}{}", &signature[1..])),
        ("no signature", format!("{message}.")),
        ("another issuer", mfa(&stranger).mint()),
        (
            "another issuer that claims to be this one",
            mfa(&stranger).claim("iss", idp.url()).mint(),
        ),
        ("no issuer", mfa(&idp).without("iss").mint()),
        ("a list of issuers", mfa(&idp).claim("iss", json!([idp.url()])).mint()),
        ("another audience", mfa(&idp).claim("aud", "https://other.test").mint()),
        ("no audience", mfa(&idp).without("aud").mint()),
        ("an invalid audience", mfa(&idp).claim("aud", json!([AUDIENCE, 1])).mint()),
        ("no subject", mfa(&idp).without("sub").mint()),
        ("no expiry", mfa(&idp).without("exp").mint()),
        ("an invalid expiry", mfa(&idp).claim("exp", "tomorrow").mint()),
        ("an expiry in the past", mfa(&idp).claim("exp", 1).mint()),
        ("not yet valid", mfa(&idp).claim("nbf", u64::from(u32::MAX)).mint()),
        ("issued in the future", mfa(&idp).claim("iat", u64::from(u32::MAX)).mint()),
        ("a critical extension", mfa(&idp).header("crit", json!(["x"])).mint()),
        ("an ID token's type", mfa(&idp).header("typ", "JWT").mint()),
        ("no type", mfa(&idp).header("typ", Value::Null).mint()),
        ("the none algorithm", mfa(&idp).header("alg", "none").mint()),
        ("a shared-secret algorithm", mfa(&idp).header("alg", "HS256").mint()),
        ("an algorithm of other keys", mfa(&idp).header("alg", "ES384").mint()),
        ("an unknown key", mfa(&idp).header("kid", "unknown").mint()),
        ("bound to a key, without a proof", mfa(&idp).claim("cnf", json!({"jkt": "x"})).mint()),
        ("an empty binding", mfa(&idp).claim("cnf", Value::Null).mint()),
        (
            "a duplicate claim",
            mfa(&idp).mint_payload(
                format!(
                    "{{\"iss\":\"{0}\",\"aud\":\"{AUDIENCE}\",\"sub\":\"a\",\"sub\":\"a\",\
                \"exp\":4000000000}}",
                    idp.url()
                )
                .as_bytes(),
            ),
        ),
        ("claims that are not an object", mfa(&idp).mint_payload(b"[]")),
    ];
    for (what, token) in bad {
        for (method, path) in [("GET", "/standard"), ("POST", "/sensitive")] {
            let answer = server.call(method, path, Some(&token)).await;
            assert_eq!(
                answer.parameter("error").as_deref(),
                Some("invalid_token"),
                "{what}: {answer:?}"
            );
            assert_refusal(&answer, 401, "invalid-token");
            assert_reveals_nothing(&answer);
        }
    }
    assert_eq!(server.call("GET", "/standard", Some(&good)).await.status, 200);
    clock.advance(3700);
    let answer = server.call("GET", "/standard", Some(&good)).await;
    assert_refusal(&answer, 401, "invalid-token");
}

#[tokio::test]
async fn a_step_up_challenge_contains_everything_that_the_login_must_satisfy() {
    let Setup { idp, server, .. } = setup().await;
    let token = idp.token().claim("amr", json!(["pwd"])).claim("scope", "read").mint();
    let answer = server.call("POST", "/sensitive", Some(&token)).await;
    assert_refusal(&answer, 401, "insufficient-user-authentication");
    assert_eq!(
        answer.header("www-authenticate"),
        Some(
            "Bearer error=\"insufficient_user_authentication\", \
             error_description=\"a stronger authentication is required\", acr_values=\"mfa\", \
             max_age=\"300\", scope=\"pay read\""
        )
    );
    let body = answer.json();
    assert_eq!(body["error"], "insufficient_user_authentication");
    assert_eq!((&body["acr_values"], &body["max_age"]), (&json!("mfa"), &json!(300)));
    assert_eq!(body["scope"], "pay read");

    let answer = server.call("GET", "/acr", Some(&token)).await;
    assert_eq!(answer.parameter("acr_values").as_deref(), Some("gold silver"));
    assert_eq!(answer.parameter("max_age"), None);
}

#[tokio::test]
async fn a_login_that_is_too_old_is_challenged_again() {
    let Setup { idp, server, clock } = setup().await;
    let token = idp.mfa_token();
    assert_eq!(server.call("POST", "/late/7", Some(&token)).await.body, "reached");
    clock.advance(400);
    let answer = server.call("POST", "/late/7", Some(&token)).await;
    assert_refusal(&answer, 401, "insufficient-user-authentication");
    assert_eq!(answer.parameter("max_age").as_deref(), Some("300"));
    assert_eq!(answer.json()["detail"], "a more recent authentication is required");
    assert_eq!(server.call("GET", "/standard", Some(&token)).await.status, 200);
}

#[tokio::test]
async fn a_missing_scope_alone_is_403() {
    let Setup { idp, server, .. } = setup().await;
    let strong = idp.token().claim("amr", json!(["mfa"])).claim("scope", "pay").mint();
    for (method, path, scope) in [("POST", "/sensitive", "pay read"), ("GET", "/scoped", "read")] {
        let answer = server.call(method, path, Some(&strong)).await;
        assert_refusal(&answer, 403, "insufficient-scope");
        assert_eq!(answer.parameter("error").as_deref(), Some("insufficient_scope"));
        assert_eq!(answer.parameter("scope").as_deref(), Some(scope));
        assert_eq!(answer.parameter("acr_values"), None);
    }
}

#[tokio::test]
async fn an_issuer_that_may_not_step_up_is_403_without_a_challenge() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let issuer = idp.issuer().may_step_up(false);
    let step_up = StepUp::builder().issuer(issuer).build().await.expect("built");
    let server = Server::start(app().with_state(AppState { step_up })).await;
    let answer = server.call("POST", "/late/7", Some(&idp.mfa_token())).await;
    assert_refusal(&answer, 403, "denied");
    assert_eq!(answer.header("www-authenticate"), None);
    assert_eq!(server.call("GET", "/standard", Some(&idp.mfa_token())).await.status, 200);
}

/// Sessions have no risk level yet. Clients will receive this response if a session's risk is too high.
#[tokio::test]
async fn a_refusal_because_of_risk_is_403_without_a_challenge() {
    async fn refused() -> Refusal {
        Cause::Denied(Denial::Risk).into()
    }
    let Setup { server, .. } = setup_with(Router::new().route("/", get(refused))).await;
    let answer = server.call("GET", "/", None).await;
    assert_refusal(&answer, 403, "denied");
    assert_eq!(answer.header("www-authenticate"), None);
    assert_reveals_nothing(&answer);
}

#[tokio::test]
async fn unavailable_keys_are_503_and_allow_no_request() {
    let Setup { idp, server, .. } = setup().await;
    let before = idp.mfa_token();
    idp.set_down(true);
    idp.rotate("key-1", TestAlgorithm::Es256).expect("a new key");
    let after = idp.mfa_token();
    let answer = server.call("GET", "/standard", Some(&after)).await;
    assert_refusal(&answer, 503, "unavailable");
    assert!(answer.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
    assert_eq!(answer.header("www-authenticate"), None);
    assert_eq!(
        server.call("GET", "/standard", Some(&before)).await.status,
        200,
        "the old keys still work"
    );

    idp.set_down(false);
    eventually(async || server.call("GET", "/standard", Some(&after)).await.status == 200).await;
    assert_refusal(&server.call("GET", "/standard", Some(&before)).await, 401, "invalid-token");
}

#[tokio::test]
async fn a_flood_of_unknown_keys_reaches_the_issuer_once_per_cooldown() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let step_up = StepUp::builder().issuer(idp.issuer()).build().await.expect("built");
    let server = Arc::new(Server::start(app().with_state(AppState { step_up })).await);
    let before = idp.key_requests();
    let mut calls = tokio::task::JoinSet::new();
    for kid in 0..50 {
        let token = idp.token().header("kid", format!("unknown-{kid}")).mint();
        let server = Arc::clone(&server);
        calls.spawn(async move { server.call("GET", "/standard", Some(&token)).await.status });
    }
    let statuses = calls.join_all().await;
    assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
    assert_eq!(idp.key_requests() - before, 1);
}

#[tokio::test]
async fn the_handler_receives_the_claims_of_a_valid_token() {
    let Setup { idp, server, .. } = setup().await;
    let token = idp
        .token()
        .claim("amr", json!(["pwd", "otp"]))
        .claim("acr", "gold")
        .claim("scope", "a b")
        .claim("aud", json!(["https://other.test", AUDIENCE]))
        .claim("tenant", "t1")
        .mint();
    let answer = server.call("GET", "/standard", Some(&token)).await;
    let body = answer.json();
    assert_eq!(body["subject"], "alice");
    assert_eq!(body["issuer"], idp.url());
    assert_eq!(body["client"], "test-client");
    assert_eq!(body["scopes"], json!(["a", "b"]));
    assert_eq!((&body["amr"], &body["acr"]), (&json!(["pwd", "otp"]), &json!("gold")));
    assert!(body["auth_time"].is_u64());
    assert_eq!(body["tenant"], "t1");
}

#[tokio::test]
async fn no_http_method_is_exempt() {
    let Setup { idp, server, .. } = setup().await;
    for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "PROPFIND"] {
        let weak = idp.token().without("auth_time").mint();
        assert_eq!(server.call(method, "/any", None).await.status, 401, "{method}");
        assert_eq!(server.call(method, "/any", Some(&weak)).await.status, 401, "{method}");
        assert_eq!(
            server.call(method, "/any", Some(&idp.mfa_token())).await.status,
            200,
            "{method}"
        );
    }
    assert_eq!(server.call("HEAD", "/acr", None).await.status, 401, "GET also serves HEAD");
}

#[tokio::test]
async fn the_guard_responds_before_the_body_arrives() {
    let Setup { idp, server, .. } = setup().await;
    let token = idp.password_token();
    let mut stream = TcpStream::connect(server.address).await.expect("connected");
    let head = format!(
        "POST /sensitive HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("written");
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer)).await;
    let read = read.expect("a response before the body is sent").expect("read");
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.contains("insufficient_user_authentication"), "{answer}");
}

#[tokio::test]
async fn the_guard_responds_before_other_extractors() {
    let Setup { idp, server, .. } = setup().await;
    let request = reqwest::Client::new()
        .post(server.url("/sensitive"))
        .bearer_auth(idp.password_token())
        .header("content-type", "text/plain")
        .body("not JSON");
    assert_refusal(&Answer::of(request).await, 401, "insufficient-user-authentication");
}

#[tokio::test]
async fn a_principal_without_a_guard_is_500() {
    async fn unguarded(_: Principal) -> &'static str {
        "reached"
    }
    let Setup { idp, server, .. } =
        setup_with(Router::new().route("/unguarded", get(unguarded))).await;
    let answer = server.call("GET", "/unguarded", Some(&idp.mfa_token())).await;
    assert_refusal(&answer, 500, "misconfigured");
}

#[tokio::test]
async fn a_principal_that_other_code_inserted_is_not_trusted() {
    async fn unguarded(_: Principal) -> &'static str {
        "reached"
    }
    let Setup { idp, server: _server, .. } = setup().await;
    let step_up = StepUp::builder().issuer(idp.issuer()).build().await.expect("built");
    let contract = Contract::parse(r#"{"path": "/", "security": {"step-up": false}}"#);
    let endpoint = contract.expect("a contract").endpoints()[0].clone();
    let request = Request::builder().header("authorization", format!("Bearer {}", idp.mfa_token()));
    let (head, ()) = request.body(()).expect("a request").into_parts();
    let principal = step_up.enforce(&endpoint, (&head).into()).await.expect("a valid token");
    let principal = principal.expect("the endpoint is not public");

    let app = Router::new().route("/unguarded", get(unguarded)).layer(Extension(principal));
    let server = Server::start(app.with_state(AppState { step_up })).await;
    assert_eq!(server.call("GET", "/unguarded", None).await.status, 500);
}

#[step_up(post = "/per-action", methods = ["mfa"], per_action = true)]
async fn per_action() -> &'static str {
    "reached"
}

#[step_up(post = "/risky", methods = ["mfa"], risk = risk(step_up = "medium"))]
async fn risky() -> &'static str {
    "reached"
}

#[step_up(post = "/bound", methods = ["mfa"], bound = true)]
async fn bound() -> &'static str {
    "reached"
}

#[tokio::test]
async fn unenforceable_requirements_refuse_every_request() {
    let app = Router::new()
        .route("/per-action", post(per_action))
        .route("/risky", post(risky))
        .route("/bound", post(bound));
    let Setup { idp, server, .. } = setup_with(app).await;
    for path in ["/per-action", "/risky", "/bound"] {
        for token in [None, Some(idp.mfa_token())] {
            let answer = server.call("POST", path, token.as_deref()).await;
            assert_refusal(&answer, 500, "misconfigured");
            assert_reveals_nothing(&answer);
        }
    }
}

#[test]
fn handlers_with_unsupported_requirements_cannot_be_mounted() {
    let mount = || -> Router<StepUp> { routes![per_action] };
    let panic = std::panic::catch_unwind(mount).expect_err("must not mount");
    let message = panic.downcast_ref::<String>().expect("a message");
    assert!(message.contains("not supported yet"), "{message}");
    assert!(message.contains("POST /"), "{message}");
}

#[tokio::test]
async fn a_contract_with_unenforceable_requirements_does_not_build() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let unenforceable = json!([
        {"method": "POST", "path": "/per-action", "security": {"step-up": true, "methods": ["mfa"], "per-action": true}},
        {"method": "POST", "path": "/risky",
         "security": {"step-up": true, "methods": ["mfa"], "risk": {"step-up": "medium"}}},
        {"method": "POST", "path": "/bound", "security": {"step-up": true, "methods": ["mfa"], "bound": true}},
    ]);
    let contract = Contract::parse(unenforceable.to_string()).expect("a contract");
    let built = StepUp::builder().issuer(idp.issuer()).contract(contract).build().await;
    let error = built.expect_err("must not build").to_string();
    for route in ["POST /per-action", "POST /risky", "POST /bound"] {
        assert!(error.contains(route), "{error}");
    }
}

#[tokio::test]
async fn a_handler_at_another_route_is_counted_and_refused_if_routes_are_strict() {
    let idp = TestIssuer::start().await.expect("an issuer");
    for strict in [false, true] {
        let builder = StepUp::builder().issuer(idp.issuer()).strict_routes(strict);
        let step_up = builder.build().await.expect("built");
        let app = Router::new().route("/elsewhere", get(acr)).route("/acr", post(acr).get(acr));
        let state = AppState { step_up: step_up.clone() };
        let server = Server::start(app.with_state(state)).await;
        let token = idp.token().claim("acr", "gold").mint();
        let expected = if strict { 500 } else { 200 };
        assert_eq!(server.call("GET", "/acr", Some(&token)).await.status, 200);
        assert_eq!(server.call("HEAD", "/acr", Some(&token)).await.status, 200);
        assert_eq!(step_up.drifted_requests(), 0);
        assert_eq!(server.call("GET", "/elsewhere", Some(&token)).await.status, expected);
        assert_eq!(server.call("POST", "/acr", Some(&token)).await.status, expected);
        assert_eq!(step_up.drifted_requests(), 2);
        assert_eq!(
            server.call("GET", "/elsewhere", None).await.status,
            if strict { 500 } else { 401 }
        );
    }
}

#[tokio::test]
async fn each_issuer_verifies_only_its_own_tokens_and_has_its_own_acr_values() {
    let one = TestIssuer::start_with(TestAlgorithm::Rs256).await.expect("an issuer");
    let two = TestIssuer::start_with(TestAlgorithm::EdDsa).await.expect("an issuer");
    let step_up = StepUp::builder()
        .issuer(one.issuer().ask(Method::Mfa, ["urn:one:2fa"]).proves("urn:one:2fa", [Method::Mfa]))
        .issuer(
            Issuer::new(two.url(), "https://second-audience.test")
                .jwks_url(format!("{}/jwks", two.url()))
                .ask(Method::Mfa, ["two-maybe"])
                .allow_untyped_tokens(true),
        )
        .resource_metadata("https://api.test/.well-known/oauth-protected-resource")
        .build()
        .await
        .expect("built");
    let server = Server::start(app().with_state(AppState { step_up })).await;
    let aud = "https://second-audience.test";

    let strong = one.token().claim("acr", "urn:one:2fa").mint();
    assert_eq!(server.call("POST", "/late/1", Some(&strong)).await.status, 200);
    let echo =
        two.token().claim("aud", aud).header("typ", "JWT").claim("acr", "urn:one:2fa").mint();
    let answer = server.call("POST", "/late/1", Some(&echo)).await;
    assert_eq!(answer.parameter("acr_values").as_deref(), Some("two-maybe"));
    let metadata = "https://api.test/.well-known/oauth-protected-resource";
    assert_eq!(answer.parameter("resource_metadata").as_deref(), Some(metadata));
    let weak = one.token().mint();
    let answer = server.call("POST", "/late/1", Some(&weak)).await;
    assert_eq!(answer.parameter("acr_values").as_deref(), Some("urn:one:2fa"));

    for (what, token) in [
        ("issuer one, audience of two", one.token().claim("aud", aud).mint()),
        ("issuer two, audience of one", two.token().mint()),
        ("signed by two as issuer one", two.token().claim("iss", one.url()).mint()),
        ("issuer one, untyped", one.token().header("typ", "JWT").mint()),
        (
            "issuer two, an ID token",
            two.token().claim("aud", aud).header("typ", "JWT").claim("nonce", "n").mint(),
        ),
        (
            "issuer two, an ID token without a nonce",
            two.token().claim("aud", aud).header("typ", "JWT").without("client_id").mint(),
        ),
        (
            "issuer two, a logout token",
            two.token().claim("aud", aud).header("typ", "JWT").claim("events", json!({})).mint(),
        ),
        (
            "issuer two, an ID token of Keycloak",
            two.token().claim("aud", aud).header("typ", "JWT").claim("typ", "ID").mint(),
        ),
        ("issuer two, DPoP proof", two.token().claim("aud", aud).header("typ", "dpop+jwt").mint()),
    ] {
        let answer = server.call("GET", "/standard", Some(&token)).await;
        assert_eq!(answer.parameter("error").as_deref(), Some("invalid_token"), "{what}");
    }
}
