//! Compares the responses to every decision vector: from `stepup gateway` in each mode, and through the real nginx,
//! Caddy, Traefik and Envoy. The status and the challenge must be the same everywhere.

use serde_json::{Value, json};
use std::collections::HashMap;
use stepup_runtime::testing::{AUDIENCE, TestIssuer};
use stepup_tests::envoy::{ClientRequest, EnvoyClient};
use stepup_tests::gateways::{Gateway, issuer_settings};
use stepup_tests::proxy::{Kind, Proxy};
use stepup_tests::server::Answer;
use stepup_tests::upstream::{BODY_LENGTH_HEADER, UPSTREAM_BODY, Upstream};
use stepup_tests::vectors::{Vector, all};

/// The vectors that a gateway can enforce, each with a path and a token. Each vocabulary has an issuer.
struct Cases {
    cases: Vec<(Vector, String, String)>,
    contract: Value,
    settings: String,
    now: u64,
    _issuers: Vec<TestIssuer>,
}

impl Cases {
    async fn new() -> Self {
        let mut issuers: Vec<TestIssuer> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        let (mut cases, mut endpoints, mut settings) = (Vec::new(), Vec::new(), Vec::new());
        // The risk of a session is set in the process of the enforcer.
        let vectors = all().into_iter();
        let vectors = vectors.filter(|vector| !vector.is_unenforceable() && vector.risk.is_none());
        for (index, vector) in vectors.enumerate() {
            let vocabulary = Value::Object(vector.vocabulary.clone()).to_string();
            if !known.contains_key(&vocabulary) {
                let issuer = TestIssuer::start().await.expect("an issuer");
                settings.push(issuer_settings(issuer.url(), AUDIENCE, &vector.vocabulary));
                known.insert(vocabulary.clone(), issuers.len());
                issuers.push(issuer);
            }
            let path = format!("/vectors/{index}");
            endpoints.push(json!({"method": "POST", "path": path, "security": vector.requirement}));
            let token = vector.token(&issuers[known[&vocabulary]]);
            cases.push((vector, path, token));
        }
        assert!(cases.len() >= 300, "{}", cases.len());
        let now = cases[0].0.now;
        assert!(
            cases.iter().all(|(vector, ..)| vector.now == now),
            "all vectors must use the same time"
        );
        let mut gateway = toml::Table::new();
        gateway.insert("allow-unsatisfiable".into(), true.into());
        gateway.insert("resource".into(), AUDIENCE.into());
        let mut document = toml::Table::new();
        document.insert("issuers".into(), settings.into());
        document.insert("gateway".into(), gateway.into());
        Self {
            cases,
            contract: endpoints.into(),
            settings: document.to_string(),
            now,
            _issuers: issuers,
        }
    }

    async fn gateway(&self) -> Gateway {
        Gateway::start(&self.contract.to_string(), &self.settings, Some(self.now)).await
    }
}

#[tokio::test]
async fn an_unenforceable_contract_is_refused_at_startup() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let settings = format!("[[issuers]]\nissuer = \"{}\"\naudience = \"{AUDIENCE}\"\n", idp.url());
    let unenforceable: Vec<Vector> = all().into_iter().filter(Vector::is_unenforceable).collect();
    assert!(!unenforceable.is_empty());
    for vector in unenforceable {
        let contract = json!({"path": "/", "security": vector.requirement}).to_string();
        let error =
            Gateway::try_start(&contract, &settings, None, &["--allow-unsatisfiable"]).await;
        let error = error.expect_err(&vector.name);
        assert!(error.contains("cannot be enforced"), "{}: {error}", vector.name);
    }
}

fn report(mismatches: &[String]) {
    assert!(
        mismatches.is_empty(),
        "{} vectors have another result:\n{}",
        mismatches.len(),
        mismatches.join("\n")
    );
}

#[tokio::test]
#[ignore = "needs faketime; tests/run installs it"]
async fn the_gateway_over_http_agrees_with_every_vector() {
    let cases = Cases::new().await;
    let gateway = cases.gateway().await;
    let client = reqwest::Client::new();
    let mut mismatches = Vec::new();
    for (vector, path, token) in &cases.cases {
        for mode in ["nginx", "forward-auth", "envoy-http"] {
            let at = |path: &str| format!("http://{}{path}", gateway.address(mode));
            let request = match mode {
                "nginx" => client
                    .get(at("/_stepup"))
                    .header("x-original-method", "POST")
                    .header("x-original-uri", path),
                "forward-auth" => client
                    .get(at("/"))
                    .header("x-forwarded-method", "POST")
                    .header("x-forwarded-uri", path),
                _ => client.post(at(path)),
            };
            let mut answer = Answer::of(request.bearer_auth(token)).await;
            assert_eq!(answer.headers.contains_key("x-step-up-subject"), answer.status == 200);
            if answer.status == 200 {
                assert_eq!(answer.body, "", "an allowed check has an empty response body");
                answer.body = UPSTREAM_BODY.into();
            }
            let mismatch = vector.mismatch(&answer, UPSTREAM_BODY);
            mismatches.extend(mismatch.map(|mismatch| format!("{mode}: {mismatch}")));
        }
    }
    report(&mismatches);
}

#[tokio::test]
#[ignore = "needs faketime; tests/run installs it"]
async fn the_gateway_over_grpc_agrees_with_every_vector() {
    let cases = Cases::new().await;
    let gateway = cases.gateway().await;
    let mut envoy = EnvoyClient::connect(gateway.address("envoy-grpc")).await;
    let mut mismatches = Vec::new();
    for (vector, path, token) in &cases.cases {
        for raw in [true, false] {
            let authorization = format!("Bearer {token}");
            let headers = [(":method", "POST"), ("authorization", &*authorization)];
            let request = ClientRequest { method: "POST", target: path, headers: &headers, raw };
            let answer = match envoy.check(&request).await {
                Ok(_) => {
                    Answer { status: 200, headers: Default::default(), body: UPSTREAM_BODY.into() }
                }
                Err(answer) => answer,
            };
            let mismatch = vector.mismatch(&answer, UPSTREAM_BODY);
            mismatches.extend(mismatch.map(|mismatch| format!("raw {raw}: {mismatch}")));
        }
    }
    report(&mismatches);
}

#[tokio::test]
#[ignore = "needs nginx, Caddy, Traefik, Envoy and faketime; tests/run installs them"]
async fn every_proxy_agrees_with_every_vector() {
    let cases = Cases::new().await;
    let gateway = cases.gateway().await;
    let upstream = Upstream::start().await;
    let client = reqwest::Client::new();
    let mut mismatches = Vec::new();
    for kind in Kind::ALL {
        let proxy = Proxy::start(kind, &gateway, upstream.address()).await;
        for (vector, path, token) in &cases.cases {
            let request = client.post(format!("http://{}{path}", proxy.address));
            let answer = Answer::of(request.bearer_auth(token).body("a body")).await;
            let (reached, name) = (upstream.take().len(), &vector.name);
            assert_eq!(reached, usize::from(answer.status == 200), "{kind:?}: {name}");
            if answer.status == 200 {
                assert_eq!(
                    answer.headers[BODY_LENGTH_HEADER], "6",
                    "{kind:?}: {name}: length of the body"
                );
            }
            let mismatch = vector.mismatch(&answer, UPSTREAM_BODY);
            mismatches
                .extend(mismatch.map(|mismatch| format!("{kind:?}: {mismatch}\n{}", proxy.log())));
        }
    }
    report(&mismatches);
}
