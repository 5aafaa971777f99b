//! A protected router: what the contract does not list is refused, whoever has mounted it.

use axum::Router;
use axum::routing::{any, get};
use serde_json::json;
use std::time::Duration;
use stepup_runtime::testing::{AUDIENCE, TestIssuer};
use stepup_runtime::{Contract, StepUp, routes, step_up};
use stepup_tests::log::Log;
use stepup_tests::server::Server;

#[step_up(post = "/protected/pay", methods = ["mfa"], max_age = 300)]
async fn pay() -> &'static str {
    "paid"
}

#[step_up(get = "/protected/offers", trust = "public", reason = "everybody may know them")]
async fn offers() -> &'static str {
    "offers"
}

/// The contract of the two handlers. The test program links others too.
fn contract() -> Contract {
    let mfa = json!({"step-up": true, "methods": ["mfa"], "max-age": 300});
    let list = json!([
        {"method": "POST", "path": "/protected/pay", "security": mfa},
        {"method": "GET", "path": "/protected/offers", "trust": "public", "security": {"step-up": false}},
    ]);
    Contract::parse(list.to_string()).expect("a contract")
}

async fn built(idp: &TestIssuer) -> StepUp {
    let builder = StepUp::builder().issuer(idp.issuer()).resource(AUDIENCE).contract(contract());
    builder.build().await.expect("built")
}

#[tokio::test]
async fn everything_that_the_contract_does_not_list_is_refused() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let step_up = built(&idp).await;
    let nested = Router::new().route("/users", get(async || "users"));
    let router = routes![pay, offers]
        .merge(step_up.metadata_routes())
        .route("/debug", any(async || "debug"))
        .nest("/admin", nested)
        .fallback(async || "fallback");
    let server = Server::start(step_up.protect(router).with_state(step_up)).await;
    let strong = idp.mfa_token();
    assert_eq!(server.call("POST", "/protected/pay", Some(&strong)).await.body, "paid");
    assert_eq!(server.call("POST", "/protected/pay", None).await.status, 401);
    assert_eq!(server.call("GET", "/protected/offers", None).await.body, "offers");
    for (method, path) in [
        ("GET", "/debug"),
        ("POST", "/debug"),
        ("GET", "/admin/users"),
        ("GET", "/nowhere"),
        ("GET", "/protected/pay"),
        ("DELETE", "/protected/offers"),
    ] {
        let answer = server.call(method, path, Some(&strong)).await;
        assert_eq!(answer.status, 403, "{method} {path}");
        assert_eq!(answer.json()["type"], "urn:stepup:problem:unlisted", "{method} {path}");
    }
    for path in ["/nowhere/../debug", "/%64ebug"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = stepup_tests::upstream::send_raw(server.address, request.as_bytes()).await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{path}: {answer}");
    }
    // The metadata of the API (RFC 9728) is public.
    let metadata = server.call("GET", "/.well-known/oauth-protected-resource", None).await;
    assert_eq!((metadata.status, metadata.json()["resource"].clone()), (200, json!(AUDIENCE)));
}

#[tokio::test]
async fn the_log_names_each_unlisted_route_once_with_the_fix() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let step_up = built(&idp).await;
    let router = routes![pay].route("/debug/{id}", get(async || "debug"));
    let app = step_up.protect(router).with_state(step_up);
    let log = Log::default();
    let _log = tracing::subscriber::set_default(log.clone());
    for id in 0..5 {
        let request = http::Request::get(format!("/debug/{id}")).body(axum::body::Body::empty());
        let request = request.expect("a request");
        let response = tower::ServiceExt::oneshot(app.clone(), request).await.expect("a response");
        assert_eq!(response.status(), 403);
    }
    let warnings: Vec<_> =
        log.lines().into_iter().filter(|line| line.starts_with("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("GET /debug/{id}"), "{warnings:?}");
    assert!(warnings[0].contains("#[step_up(…)]"), "{warnings:?}");
}

#[tokio::test(start_paused = true)]
async fn a_program_that_does_not_protect_its_router_is_warned_at_start() {
    let idp = TestIssuer::start().await.expect("an issuer");
    for protects in [false, true] {
        let log = Log::default();
        let _log = tracing::subscriber::set_default(log.clone());
        let issuer = idp.issuer().jwks(idp.jwks());
        let step_up = StepUp::builder().issuer(issuer).contract(contract()).build().await;
        let step_up = step_up.expect("built");
        if protects {
            let _router: Router<StepUp> = step_up.protect(routes![pay]);
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let warned = log.lines().iter().any(|line| line.contains("step_up.protect(router)"));
        assert_eq!(warned, !protects, "{:?}", log.lines());
    }
}

#[tokio::test]
#[should_panic(expected = "protect() needs the contract")]
async fn a_router_cannot_be_protected_without_a_contract() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let step_up = StepUp::builder().issuer(idp.issuer()).build().await.expect("built");
    let _router: Router<StepUp> = step_up.protect(routes![pay]);
}

#[tokio::test]
async fn only_the_well_known_address_of_the_metadata_is_open() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let path = "/.well-known/oauth-protected-resource";
    for (metadata, path, status) in [
        ("https://meta.example", "/", 403),
        ("https://meta.example/debug", "/debug", 403),
        ("https://meta.example/.well-known/oauth-protected-resources", "/debug", 403),
        ("https://api.test/.well-known/oauth-protected-resource", path, 200),
    ] {
        let step_up = StepUp::builder().issuer(idp.issuer()).contract(contract());
        let step_up = step_up.resource_metadata(metadata).build().await.expect("built");
        let router = routes![pay].route(path, get(async || "served"));
        let server = Server::start(step_up.protect(router).with_state(step_up)).await;
        assert_eq!(server.call("GET", path, None).await.status, status, "{metadata}");
    }
}

#[tokio::test]
async fn warnings_that_differ_only_in_the_route_are_one_log_event() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let endpoint = |path: &str| json!({"path": path, "method": "POST", "security": {"step-up": true, "methods": ["mfa"]}});
    let both = json!([endpoint("/a"), endpoint("/b")]).to_string();
    let contract = Contract::parse(both).expect("a contract");
    let log = Log::default();
    let _log = tracing::subscriber::set_default(log.clone());
    let issuer = idp.issuer().jwks(idp.jwks());
    let built = StepUp::builder().issuer(issuer).contract(contract).build().await;
    built.expect("built");
    let warnings: Vec<_> =
        log.lines().into_iter().filter(|line| line.contains("acr_values")).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("POST /a, POST /b"), "{warnings:?}");
}
