//! The contract layer, around services without annotations and around guarded handlers.

use axum::body::Body;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{Request, Response};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use stepup_runtime::testing::{AUDIENCE, TestAlgorithm, TestHolder, TestIssuer};
use stepup_runtime::{Contract, ContractLayer, Principal, RequestLimits, StepUp, routes, step_up};
use stepup_tests::server::{Answer, Server};
use stepup_tests::upstream::send_raw;
use tower::{Layer, Service, ServiceExt};

fn contract(unlisted: &str, base: Option<&str>) -> Contract {
    let mut document = json!({
        "contract": 1, "service": "bank", "version": "1", "unlisted": unlisted, "endpoints": [
            {"method": "POST", "path": "/pay", "security": {"step-up": true, "methods": ["mfa"]}},
            {"method": "GET", "path": "/me", "security": {"step-up": false}},
            {"path": "/any", "security": {"step-up": false}},
            {"method": "POST", "path": "/later", "security": {
                "step-up": true, "methods": ["mfa"], "per-action": true,
            }},
        ],
    });
    if let Some(base) = base {
        document["base"] = base.into();
    }
    Contract::parse(document.to_string()).expect("a contract")
}

async fn who(user: Principal) -> String {
    user.subject().to_owned()
}

fn app() -> Router {
    let open = async || "open";
    Router::new()
        .route("/pay", post(who))
        .route("/me", get(who))
        .route("/any", axum::routing::any(who))
        .route("/later", post(who))
        .route("/open", get(open))
        .route("/me/too", get(who))
}

async fn built(idp: &TestIssuer) -> StepUp {
    StepUp::builder().issuer(idp.issuer()).resource(AUDIENCE).build().await.expect("built")
}

#[tokio::test]
async fn a_service_without_annotations_is_protected_and_receives_the_principal() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let layer = ContractLayer::new(contract("deny", None), built(&idp).await);
    let server = Server::start(app().layer(layer)).await;
    let (weak, strong) = (idp.password_token(), idp.mfa_token());
    let answer = server.call("POST", "/pay", Some(&weak)).await;
    assert_eq!((answer.status, answer.parameter("acr_values").as_deref()), (401, Some("mfa")));
    let answer = server.call("POST", "/pay", Some(&strong)).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "alice"));
    let head = server.call("HEAD", "/me", Some(&weak)).await;
    assert_eq!(head.status, 200, "GET serves HEAD");
    assert_eq!(server.call("GET", "/me", None).await.status, 401);
    assert_eq!(server.call("POST", "/later", Some(&strong)).await.status, 500, "not enforced yet");
    // An unlisted route is refused for every caller.
    let answer = server.call("GET", "/open", Some(&strong)).await;
    assert_eq!(
        (answer.status, answer.json()["type"].clone()),
        (403, json!("urn:stepup:problem:unlisted"))
    );
    assert_eq!(server.call("DELETE", "/pay", Some(&strong)).await.status, 403);
}

#[tokio::test]
async fn unlisted_routes_can_be_allowed_but_receive_no_principal() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let layer = ContractLayer::new(contract("allow", None), built(&idp).await);
    let server = Server::start(app().layer(layer)).await;
    assert_eq!(server.call("GET", "/open", None).await.body, "open");
    let answer = server.call("GET", "/me/too", Some(&idp.mfa_token())).await;
    assert_eq!(answer.status, 500, "an unverified token gives no principal");
    for path in
        ["/PAY", "/pay/", "/x/../pay", "/%2e/pay", "//pay", "/pay;x", "/pay.json", "/pay%20"]
    {
        let request = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        let answer = send_raw(server.address, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_preflight_passes_only_if_no_endpoint_accepts_options() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let layer = ContractLayer::new(contract("deny", None), built(&idp).await);
    let server = Server::start(app().layer(layer)).await;
    let preflight = async |path: &str| {
        let request = reqwest::Client::new()
            .request(http::Method::OPTIONS, server.url(path))
            .header("origin", "https://app.example")
            .header("access-control-request-method", "POST");
        Answer::of(request).await.status
    };
    assert_eq!(preflight("/pay").await, 405, "it reached the router, which has no OPTIONS");
    assert_eq!(preflight("/any").await, 401);
    assert_eq!(preflight("/open").await, 403);
}

#[tokio::test]
async fn routes_of_a_nested_router_are_matched_by_their_full_path() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let layer = ContractLayer::new(contract("deny", Some("/api")), built(&idp).await);
    let server = Server::start(Router::new().nest("/api", app().layer(layer))).await;
    assert_eq!(server.call("POST", "/api/pay", Some(&idp.mfa_token())).await.status, 200);
    assert_eq!(server.call("POST", "/api/pay", Some(&idp.password_token())).await.status, 401);
}

#[step_up(post = "/bound", methods = ["mfa"], bound = true)]
async fn bound(user: Principal, Json(body): Json<Value>) -> String {
    format!("{} {body}", user.subject())
}

#[tokio::test]
async fn the_layer_and_a_guard_behind_it_accept_the_same_proof_for_one_request() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let endpoint =
        json!({"method": "POST", "path": "/bound", "security": {"step-up": false, "bound": true}});
    let contract = Contract::parse(endpoint.to_string()).expect("a contract");
    let step_up = built(&idp).await;
    let app = routes![bound].with_state(step_up.clone());
    let server = Server::start(app.layer(ContractLayer::new(&contract, step_up))).await;
    let holder = TestHolder::new(TestAlgorithm::Es256).expect("a key");
    let bound = |amr: &str| {
        let token = idp.token().claim("amr", json!([amr]));
        token.claim("cnf", json!({"jkt": holder.thumbprint()})).mint()
    };
    let (weak, strong) = (bound("pwd"), bound("mfa"));
    let call = async |token: &str, proof: &str| {
        let request = reqwest::Client::new()
            .post(server.url("/bound"))
            .header("authorization", format!("DPoP {token}"))
            .header("dpop", proof)
            .json(&json!(1));
        Answer::of(request).await
    };
    let proof = |token: &str| holder.proof("POST", &format!("{AUDIENCE}/bound"), token).sign();
    let one = proof(&strong);
    let answer = call(&strong, &one).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "alice 1"));
    let again = call(&strong, &one).await;
    assert_eq!(
        (again.status, again.parameter("error").as_deref()),
        (401, Some("invalid_dpop_proof"))
    );
    // The guard still enforces its own requirement.
    let answer = call(&weak, &proof(&weak)).await;
    let error = answer.parameter("error");
    assert_eq!((answer.status, error.as_deref()), (401, Some("insufficient_user_authentication")));
    assert_eq!(server.call("POST", "/bound", Some(&idp.mfa_token())).await.status, 401);
}

/// For example, one layer around the whole program and one around a nested router.
#[tokio::test]
async fn two_layers_accept_the_same_proof_for_one_request() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let endpoint = json!({"path": "/up", "security": {"step-up": false, "bound": true}});
    let contract = Contract::parse(endpoint.to_string()).expect("a contract");
    let step_up = built(&idp).await;
    let layer = || ContractLayer::new(&contract, step_up.clone());
    let app =
        Router::new().route("/up", get(|user: Principal| async move { user.subject().to_owned() }));
    let server = Server::start(app.layer(layer()).layer(layer())).await;
    let holder = TestHolder::new(TestAlgorithm::Es256).expect("a key");
    let token = idp.token().bound_to(&holder).mint();
    let proof = holder.proof("GET", &format!("{AUDIENCE}/up"), &token).sign();
    let call = || {
        let request = reqwest::Client::new().get(server.url("/up")).header("dpop", &proof);
        Answer::of(request.header("authorization", format!("DPoP {token}")))
    };
    assert_eq!(call().await.status, 200);
    assert_eq!(call().await.status, 401, "a second request needs another proof");
}

/// A service that requires `poll_ready` before each call, on the same instance and not on a clone.
struct Strict {
    ready: bool,
    misused: Arc<AtomicBool>,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { ready: false, misused: Arc::clone(&self.misused) }
    }
}

impl Service<Request<Body>> for Strict {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        if !std::mem::take(&mut self.ready) {
            self.misused.store(true, Ordering::SeqCst);
        }
        ready(Ok(Response::new(Body::from("reached"))))
    }
}

#[tokio::test]
async fn the_layer_calls_the_instance_that_was_polled_ready() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let misused = Arc::new(AtomicBool::new(false));
    let strict = Strict { ready: false, misused: Arc::clone(&misused) };
    let layer = ContractLayer::new(contract("deny", None), built(&idp).await);
    let mut service = layer.layer(strict);
    for _ in 0..3 {
        let request = Request::post("/pay")
            .header("authorization", format!("Bearer {}", idp.mfa_token()))
            .body(Body::empty())
            .expect("a request");
        let response =
            service.ready().await.expect("ready").call(request).await.expect("an answer");
        assert_eq!(response.status(), 200);
    }
    assert!(!misused.load(Ordering::SeqCst));
}

/// If other code rewrites the path, the layer cannot determine which endpoint the client requested.
#[tokio::test]
async fn a_path_that_is_rewritten_before_the_layer_is_refused() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let guarded = app().layer(ContractLayer::new(contract("allow", None), built(&idp).await));
    let strip = |mut request: Request<Body>| {
        let path = request.uri().path();
        let inner = path.strip_prefix("/t").unwrap_or(path).parse().expect("a path");
        *request.uri_mut() = inner;
        request
    };
    let stripped = tower::util::MapRequestLayer::new(strip).layer(guarded);
    let server = Server::start(Router::new().fallback_service(stripped)).await;
    let weak = idp.password_token();
    // These handlers take no `Principal`; a handler that takes one would itself refuse the request.
    for (path, status) in [("/open", 200), ("/t/open", 500), ("/t/open?x", 500)] {
        assert_eq!(server.call("GET", path, Some(&weak)).await.status, status, "{path}");
    }
}

/// axum matches paths without decoding them: a path that is a listed one only after decoding may reach an unlisted
/// route.
#[tokio::test]
async fn encoded_forms_of_listed_paths_do_not_reach_unlisted_routes() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let standard = json!({"step-up": false});
    let document = |unlisted: &str| {
        let contract = json!({
            "contract": 1, "service": "bank", "version": "1", "unlisted": unlisted,
            "endpoints": [
                {"path": "/public/{*rest}", "security": standard},
                {"method": "GET", "path": "/health", "security": standard},
            ],
        });
        Contract::parse(contract.to_string()).expect("a contract")
    };
    let app = || {
        Router::new()
            .route("/public/{*rest}", axum::routing::any(async || "public"))
            .route("/health", axum::routing::get(async || "healthy"))
            .route("/{tenant}/purge", axum::routing::post(async || "purged"))
            .fallback(async || "fallback")
    };
    let layer = ContractLayer::new(document("deny"), built(&idp).await);
    let server = Server::start(app().layer(layer)).await;
    let token = idp.password_token();
    for (method, path, status, body) in [
        ("GET", "/health", 200, "healthy"),
        ("POST", "/public/purge", 200, "public"),
        ("POST", "/public/p%75rge", 200, "public"),
        ("POST", "/acme/purge", 403, ""),
        ("POST", "/publi%63/purge", 400, ""),
        ("GET", "/h%65alth", 400, ""),
    ] {
        let answer = server.call(method, path, Some(&token)).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert!(body.is_empty() || answer.body == body, "{path}: {answer:?}");
    }
    // The contract enforcer treats both forms as the same path, as most servers do (RFC 3986 §6.2.2.2).
    let enforcer = stepup_runtime::ContractEnforcer::new(&document("deny"), built(&idp).await);
    let server = Server::start(app().layer(ContractLayer::from(enforcer))).await;
    assert_eq!(server.call("GET", "/h%65alth", Some(&token)).await.status, 200);
}

/// To a layer inside a nested router, a rewritten path looks as if the outer router had removed a prefix.
#[tokio::test]
async fn a_path_that_is_rewritten_between_two_routers_is_refused() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let step_up = built(&idp).await;
    let mfa = json!({"step-up": true, "methods": ["mfa"]});
    let standard = json!({"step-up": false});
    let weak = idp.password_token();
    for (prefix, outer, inner, from, to) in [
        ("/v2", "/api", "/api/v2/pay", "/api/v1", "/v2"),
        ("/{tenant}", "/api", "/api/{tenant}/pay", "/api/demo", "/bank"),
        ("/v-{version}", "/api", "/api/v-{version}/pay", "/api/v-1", "/v-2"),
        ("/api", "", "/api/pay", "/acme", "/api"),
        ("/{tenant}", "", "/{tenant}/pay", "/demo", "/bank"),
    ] {
        for unlisted in ["allow", "deny"] {
            let contract = json!({
                "contract": 1, "service": "bank", "version": "1", "unlisted": unlisted,
                "endpoints": [
                    {"method": "POST", "path": inner, "security": mfa},
                    // The endpoint that matches the path before it is rewritten.
                    {"method": "POST", "path": format!("{from}/{{what}}"), "security": standard},
                ],
            });
            let contract = Contract::parse(contract.to_string()).expect("a contract");
            let guarded = Router::new()
                .route("/pay", axum::routing::post(async || "paid"))
                .layer(ContractLayer::new(&contract, step_up.clone()));
            let nested = Router::new().nest(prefix, guarded);
            let here = from.strip_prefix(outer).expect("a prefix").to_owned();
            let alias = move |mut request: Request<Body>| {
                let path = request.uri().path().replacen(&here, to, 1);
                *request.uri_mut() = path.parse().expect("a path");
                request
            };
            let aliased = tower::util::MapRequestLayer::new(alias).layer(nested);
            let app = match outer {
                "" => Router::new().fallback_service(aliased),
                outer => Router::new().nest_service(outer, aliased),
            };
            let server = Server::start(app).await;
            let call =
                async |path: &str, token: &str| server.call("POST", path, Some(token)).await.status;
            let changed = format!("{from}/pay");
            assert_eq!(call(&changed, &weak).await, 500, "{changed} to {to}, {unlisted}");
            assert_eq!(call(&changed, &idp.mfa_token()).await, 500, "{changed} to {to}");
            let plain = format!("{outer}{to}/pay");
            assert_eq!(call(&plain, &weak).await, 401, "{plain}");
            assert_eq!(call(&plain, &idp.mfa_token()).await, 200, "{plain}");
        }
    }
}

#[tokio::test]
async fn long_targets_and_tokens_are_refused_with_their_own_status() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let limits = RequestLimits::default().target_bytes(100).token_bytes(2000);
    let builder = StepUp::builder().issuer(idp.issuer()).request_limits(limits);
    let layer = ContractLayer::new(contract("deny", None), builder.build().await.expect("built"));
    let server = Server::start(app().layer(layer)).await;
    let token = idp.password_token();
    let me = async |query: &str, token: &str| {
        let answer = server.call("GET", &format!("/me?{query}"), Some(token)).await;
        (answer.status, answer.parameter("error"))
    };
    assert_eq!(me("", &token).await.0, 200);
    assert_eq!(me(&"x".repeat(96), &token).await.0, 200);
    assert_eq!(me(&"x".repeat(97), &token).await, (414, Some("invalid_request".into())));
    // A client that is told that its token is invalid would request another one, and loop.
    let long = idp.token().claim("groups", "g".repeat(2000)).mint();
    assert_eq!(me("", &long).await, (431, Some("invalid_request".into())));
}

#[tokio::test]
async fn an_offer_of_h2c_is_ignored_and_removed() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let layer = ContractLayer::new(contract("deny", None), built(&idp).await);
    let offered = async |headers: http::HeaderMap| {
        format!("{:?} {:?}", headers.get("upgrade"), headers.get("http2-settings"))
    };
    let server = Server::start(Router::new().route("/me", get(offered)).layer(layer)).await;
    let request = |protocol: &str| {
        reqwest::Client::new()
            .get(server.url("/me"))
            .bearer_auth(idp.password_token())
            .header("connection", "Upgrade, HTTP2-Settings")
            .header("upgrade", protocol)
            .header("http2-settings", "AAMAAABkAAQCAAAAAAIAAAAA")
    };
    let answer = Answer::of(request("h2c")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "None None"));
    assert_eq!(Answer::of(request("h2")).await.status, 400, "no other protocol");
}

#[tokio::test]
async fn a_target_in_asterisk_form_is_refused_as_malformed() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let layer = ContractLayer::new(contract("deny", None), built(&idp).await);
    let server = Server::start(app().layer(layer)).await;
    for method in ["POST", "GET", "OPTIONS"] {
        let request = format!("{method} * HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        let answer = send_raw(server.address, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{method}: {answer}");
    }
}
