//! Public endpoints: no credential is required or read, and a handler can still ask who calls.

use axum::Router;
use axum::routing::{get, post};
use serde_json::json;
use stepup_runtime::testing::{AUDIENCE, TestIssuer};
use stepup_runtime::{Contract, ContractLayer, Principal, StepUp, policy, routes, step_up};
use stepup_tests::server::{Answer, Server};

#[step_up(post = "/public/webhook", trust = "public", reason = "signed by Stripe")]
async fn webhook(body: String) -> String {
    format!("received {body}")
}

#[step_up(get = "/public/offers", trust = "public", reason = "the home page displays them")]
async fn offers(caller: Option<Principal>) -> String {
    caller.map_or_else(|| "for everybody".into(), |caller| format!("for {}", caller.subject()))
}

#[step_up(get = "/public/mine", trust = "standard")]
async fn mine(caller: Option<Principal>) -> String {
    caller.map_or_else(String::new, |caller| caller.subject().to_owned())
}

policy! { OPEN: trust = "public", reason = "the load balancer calls it" }
policy! { READERS: trust = "standard", scopes = ["read"] }

#[step_up(get = "/public/health", policy = OPEN)]
async fn health() -> &'static str {
    "up"
}

#[step_up(get = "/public/needs-caller", policy = OPEN)]
async fn needs_caller(_: Principal) {}

#[step_up(get = "/public/report", policy = READERS, scopes = ["report", "export"])]
async fn report(user: Principal) -> String {
    user.subject().to_owned()
}

async fn server(idp: &TestIssuer) -> Server {
    let step_up = StepUp::builder().issuer(idp.issuer()).build().await.expect("built");
    let app: Router<StepUp> = routes![
        webhook,
        offers,
        mine,
        health,
        needs_caller,
        report,
        POST "/public/late" => late
    ];
    Server::start(app.with_state(step_up)).await
}

#[step_up(trust = "public")]
async fn late() -> &'static str {
    "late"
}

#[tokio::test]
async fn a_public_endpoint_neither_requires_nor_reads_a_credential() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let server = server(&idp).await;
    let post = || reqwest::Client::new().post(server.url("/public/webhook")).body("paid");
    for request in [
        post(),
        post().bearer_auth("garbage"),
        post().bearer_auth(idp.password_token()),
        post().header("authorization", "a").header("authorization", "b"),
        post().basic_auth("stripe", Some("secret")),
    ] {
        let answer = Answer::of(request).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "received paid"));
    }
    assert_eq!(server.call("GET", "/public/health", None).await.body, "up");
    assert_eq!(server.call("POST", "/public/late", None).await.body, "late");
}

#[tokio::test]
async fn a_handler_of_a_public_endpoint_can_verify_the_token_that_is_present() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let server = server(&idp).await;
    let offers = async |token: Option<&str>| server.call("GET", "/public/offers", token).await;
    assert_eq!(offers(None).await.body, "for everybody");
    assert_eq!(offers(Some(&idp.password_token())).await.body, "for alice");
    let expired = idp.token().claim("exp", 1).mint();
    let other_audience = idp.token().claim("aud", "https://other.example").mint();
    for token in ["garbage", &expired, &other_audience] {
        let answer = offers(Some(token)).await;
        assert_eq!(answer.status, 401, "{token}");
        assert_eq!(answer.parameter("error").as_deref(), Some("invalid_token"), "{token}");
    }
    let twice = reqwest::Client::new().get(server.url("/public/offers"));
    let twice = twice.bearer_auth(idp.password_token()).bearer_auth(idp.mfa_token());
    assert_eq!(Answer::of(twice).await.status, 400);
    assert_eq!(server.call("GET", "/public/mine", None).await.status, 401, "not public");
    assert_eq!(server.call("GET", "/public/mine", Some(&idp.mfa_token())).await.body, "alice");
    // No caller is made up where none was verified.
    let answer = server.call("GET", "/public/needs-caller", Some(&idp.mfa_token())).await;
    assert_eq!(answer.status, 500);
}

#[tokio::test]
async fn an_endpoint_can_require_scopes_in_addition_to_a_policy() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let server = server(&idp).await;
    let call = async |scopes: &str| {
        let token = idp.token().claim("scope", scopes).mint();
        server.call("GET", "/public/report", Some(&token)).await
    };
    assert_eq!(call("read report export").await.body, "alice");
    let answer = call("read report").await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.parameter("scope").as_deref(), Some("read report export"));
}

#[tokio::test]
async fn a_layer_knows_public_endpoints_too() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let step_up =
        StepUp::builder().issuer(idp.issuer()).resource(AUDIENCE).build().await.expect("built");
    let public = json!({"step-up": false});
    let contract = Contract::parse(
        json!([
            {"method": "POST", "path": "/hook", "trust": "public", "security": public},
            {"method": "GET", "path": "/who", "trust": "public", "reason": "home page", "security": public},
        ])
        .to_string(),
    );
    let app =
        Router::new().route("/hook", post(async || "open")).route("/who", get(offers_unguarded));
    let app = app.layer(ContractLayer::new(contract.expect("a contract"), step_up));
    let server = Server::start(app).await;
    assert_eq!(server.call("POST", "/hook", Some("garbage")).await.body, "open");
    assert_eq!(server.call("GET", "/who", None).await.body, "for everybody");
    assert_eq!(server.call("GET", "/who", Some(&idp.password_token())).await.body, "for alice");
    assert_eq!(server.call("GET", "/who", Some("garbage")).await.status, 401);
}

async fn offers_unguarded(caller: Option<Principal>) -> String {
    caller.map_or_else(|| "for everybody".into(), |caller| format!("for {}", caller.subject()))
}
