//! Runs every decision vector through `decide`, and through the guard and the layer over a socket. Each result must
//! match the vector.

use axum::Router;
use axum::routing::any;
use serde_json::{Map, Value, json};
use std::sync::{Mutex, OnceLock};
use stepup_contract::record::{Policy, Record};
use stepup_contract::{Challenge, Contract, Decision, Evidence, Reason, decide};
use stepup_runtime::__private::{Guard, GuardedEndpoint, Slot};
use stepup_runtime::testing::{AUDIENCE, TestClock, TestIssuer};
use stepup_runtime::{ContractLayer, NoticeTarget, Sessions, StepUp};
use stepup_tests::server::Server;
use stepup_tests::vectors::{Vector, all};

#[test]
fn at_least_300_vectors_exist() {
    assert!(all().len() >= 300, "{}", all().len());
}

#[test]
fn decide_agrees_with_every_vector() {
    let mut wrong = Vec::new();
    for vector in all() {
        let authentication = vector.profile.authentication(&vector.claims);
        let evidence = Evidence::of(&authentication).risk(vector.risk);
        let got = describe(&vector, decide(&vector.requirement, &evidence, vector.now));
        if got != vector.expect {
            wrong.push(format!("{}\n  expected {}\n  got      {got}", vector.name, vector.expect));
        }
    }
    assert!(wrong.is_empty(), "{} vectors disagree:\n{}", wrong.len(), wrong.join("\n"));
}

/// Describes a decision in the format of the vectors.
fn describe(vector: &Vector, decision: Decision) -> Value {
    let Decision::Refuse(reason) = decision else { return json!({"decision": "allow"}) };
    let mut expected = Map::new();
    let name = match reason {
        Reason::NotBound => "not-bound",
        Reason::IssuerBarred | Reason::Risk => "denied",
        Reason::StepUp(_) => "step-up",
        Reason::Scope => "scope",
        Reason::Confirmation => "confirmation",
        other => panic!("a reason without vectors: {other:?}"),
    };
    expected.insert("decision".into(), name.into());
    if let Reason::StepUp(missing) = reason {
        let all = [
            ("methods", missing.methods),
            ("acr", missing.acr),
            ("max_age", missing.max_age),
            ("scope", missing.scope),
        ];
        let missing = all.iter().filter(|(_, absent)| *absent).map(|(name, _)| *name);
        expected.insert("lacking".into(), missing.collect());
    }
    let challenge = Challenge::for_reason(reason, &vector.requirement, &vector.profile);
    if let Some(Challenge { acr_values, max_age, scope, .. }) = challenge {
        let mut parameters = Map::new();
        if !acr_values.is_empty() {
            parameters.insert("acr_values".into(), acr_values.join(" ").into());
        }
        if let Some(max_age) = max_age {
            parameters.insert("max_age".into(), max_age.into());
        }
        if !scope.is_empty() {
            parameters.insert("scope".into(), scope.join(" ").into());
        }
        expected.insert("challenge".into(), parameters.into());
    }
    expected.into()
}

/// The endpoint of the current vector. A guard's endpoint is determined by its type, but the vectors
/// are read from files.
struct Current;

static CURRENT: OnceLock<Mutex<&'static Slot>> = OnceLock::new();

impl GuardedEndpoint for Current {
    const RECORD: Record = Record::new("", "", "", Policy::from_checked_json("", ""));

    fn slot() -> &'static Slot {
        *CURRENT.get().expect("a slot is set").lock().expect("the lock is not poisoned")
    }
}

fn slot_of(vector: &Vector) -> &'static Slot {
    let line = json!({
        "record": 1, "runtime": "0.1", "package": "p", "version": "0",
        "trust": vector.requirement.trust(), "handler": "p::h", "security": vector.requirement,
    });
    let line: &'static str = Box::leak(line.to_string().into_boxed_str());
    Box::leak(Box::new(Slot::new(line.as_bytes())))
}

#[tokio::test]
async fn the_guard_on_a_socket_agrees_with_every_vector() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let mut wrong = Vec::new();
    for vector in all() {
        let slot = slot_of(&vector);
        *CURRENT.get_or_init(|| Mutex::new(slot)).lock().expect("no panic") = slot;
        let step_up = step_up(&vector, &idp).await;
        async fn handler(_: Guard<Current>) -> &'static str {
            "reached"
        }
        let app: Router<StepUp> = Router::new().route("/", any(handler));
        let server = Server::start(app.with_state(step_up)).await;

        let answer = server.call("POST", "/", Some(&vector.token(&idp))).await;
        wrong.extend(vector.mismatch(&answer, "reached"));
    }
    assert!(wrong.is_empty(), "{} vectors disagree:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn the_layer_on_a_socket_agrees_with_every_vector() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let mut wrong = Vec::new();
    for vector in all() {
        let endpoint = json!({"path": "/", "security": vector.requirement});
        let contract = Contract::parse(endpoint.to_string()).expect("a contract");
        let layer = ContractLayer::new(contract, step_up(&vector, &idp).await);
        let app = Router::new().route("/", any(async || "reached")).layer(layer);
        let server = Server::start(app).await;
        let answer = server.call("POST", "/", Some(&vector.token(&idp))).await;
        wrong.extend(vector.mismatch(&answer, "reached"));
    }
    assert!(wrong.is_empty(), "{} vectors disagree:\n{}", wrong.len(), wrong.join("\n"));
}

async fn step_up(vector: &Vector, idp: &TestIssuer) -> StepUp {
    let issuer = idp.issuer().jwks(idp.jwks()).profile(vector.profile.clone());
    let clock = TestClock::at(vector.now);
    let builder = StepUp::builder().issuer(issuer).clock(clock).resource(AUDIENCE);
    let Some(risk) = vector.risk else { return builder.build().await.expect("built") };
    let step_up = builder.sessions(Sessions::memory()).build().await.expect("built");
    let user = NoticeTarget::subject(idp.url(), "alice");
    step_up.risk().report(user, risk, "").await.expect("durable");
    step_up
}
