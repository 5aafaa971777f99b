//! The decision vectors in `tests/vectors/*.json`: requirement, issuer profile, token claims, time, and the expected
//! decision. Each file is a list, or an object with a list `vectors`.

use crate::server::Answer;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::sync::{LazyLock, Mutex};
use stepup_contract::{ClaimPath, Contract, Method, Profile, Requirement, RiskLevel};
use stepup_runtime::testing::TestIssuer;

/// A decision vector.
#[derive(Debug, Clone)]
pub struct Vector {
    /// The file and the name of the vector.
    pub name: String,
    /// The requirement of the endpoint.
    pub requirement: Requirement,
    /// The profile of the issuer.
    pub profile: Profile,
    /// The profile as in the file.
    pub vocabulary: Map<String, Value>,
    /// The token's claims.
    pub claims: Map<String, Value>,
    /// The risk of the session, if known.
    pub risk: Option<RiskLevel>,
    /// The time, in seconds since the epoch.
    pub now: u64,
    /// The expected decision and challenge.
    pub expect: Value,
}

/// Every vector.
///
/// # Panics
/// If a file is not a list of vectors.
pub fn all() -> Vec<Vector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let mut vectors = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder of vectors") {
        let path = entry.expect("a file").path();
        let text = fs::read_to_string(&path).expect("a readable file");
        let value: Value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let list = value.get("vectors").unwrap_or(&value).as_array().expect("a list of vectors");
        let file = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        vectors.extend(list.iter().map(|value| read(&file, value)));
    }
    vectors
}

impl Vector {
    /// Whether the requirement cannot be enforced. The program then refuses every request. The risk is unknown only
    /// without a session log, so a requirement with risk is unenforceable there.
    pub fn is_unenforceable(&self) -> bool {
        self.requirement.per_action || (self.requirement.risk.is_some() && self.risk.is_none())
    }

    /// A token with the claims of the vector.
    pub fn token(&self, idp: &TestIssuer) -> String {
        let mut token = idp.token_at(self.now).without("auth_time");
        for (name, value) in &self.claims {
            token = token.claim(name, value.clone());
        }
        token.mint()
    }

    /// A description of the difference between a response and the expected one, if there is any. `upstream_body` is the
    /// body of an allowed response.
    ///
    /// # Panics
    /// If the vector expects an unknown decision.
    pub fn mismatch(&self, answer: &Answer, upstream_body: &str) -> Option<String> {
        let (status, error) = match self.expect["decision"].as_str().expect("a decision") {
            // A requirement that cannot be enforced refuses every request.
            _ if self.is_unenforceable() => (500, None),
            "allow" => (200, None),
            "step-up" => (401, Some("insufficient_user_authentication")),
            "scope" => (403, Some("insufficient_scope")),
            "denied" => (403, None),
            "not-bound" => (401, Some("invalid_token")),
            other => panic!("{}: unknown decision {other}", self.name),
        };
        let challenge = &self.expect["challenge"];
        let text = |name: &str| match &challenge[name] {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let expected = |name| if self.is_unenforceable() { None } else { text(name) };
        let names = ["acr_values", "max_age", "scope"];
        let received = answer.challenge();
        let agrees = answer.status == status
            && (answer.body == upstream_body) == (status == 200)
            && self.has_parameters(&received, error, names.map(|name| (name, expected(name))))
            && *FIRST
                .lock()
                .expect("no panic")
                .entry(self.name.clone())
                .or_insert(received.clone())
                == received
            && (status == 200
                || self.is_unenforceable()
                || names.iter().all(|name| answer.json()[name] == challenge[name]));
        let (name, expect) = (&self.name, &self.expect);
        (!agrees).then(|| format!("{name}\n  expected {expect}\n  got {answer:?}"))
    }

    /// Whether a challenge has the right scheme, these parameters, a description of the error, and no other parameters.
    fn has_parameters(
        &self,
        received: &Option<Challenge>,
        error: Option<&str>,
        expected: [(&str, Option<String>); 3],
    ) -> bool {
        let Some(error) = error else { return received.is_none() };
        let bound = self.requirement.bound;
        let mut names = vec!["error", "error_description"];
        names.extend(bound.then_some("algs"));
        names.extend(expected.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| *name));
        received.as_ref().is_some_and(|(scheme, parameters)| {
            let value = |name: &str| {
                let mut values = parameters.iter().filter(|(known, _)| known == name);
                values.next().map(|(_, value)| value.clone())
            };
            *scheme == if bound { "DPoP" } else { "Bearer" }
                && parameters.len() == names.len()
                && names.iter().all(|name| value(name).is_some_and(|value| !value.is_empty()))
                && value("error").as_deref() == Some(error)
                && expected.iter().all(|(name, expected)| value(name) == *expected)
        })
    }
}

/// The scheme and the parameters of a challenge.
type Challenge = (String, Vec<(String, String)>);

/// The first challenge that was received for each vector. Every later one must be identical, in all modes and proxies.
static FIRST: LazyLock<Mutex<HashMap<String, Option<Challenge>>>> = LazyLock::new(Mutex::default);

fn read(file: &str, value: &Value) -> Vector {
    let name = format!("{file}: {}", value["name"].as_str().expect("a name"));
    const KNOWN: [&str; 7] = ["name", "requirement", "profile", "claims", "risk", "now", "expect"];
    for key in value.as_object().expect("an object").keys() {
        assert!(KNOWN.contains(&key.as_str()), "{name}: unknown key {key}");
    }
    // The contract parser parses the requirement.
    let endpoint = serde_json::json!({"path": "/", "security": value["requirement"]});
    let contract =
        Contract::parse(endpoint.to_string()).unwrap_or_else(|errors| panic!("{name}: {errors}"));
    let risk = value.get("risk").and_then(Value::as_str);
    Vector {
        requirement: contract.endpoints()[0].requirement.clone(),
        profile: profile(value.get("profile")),
        vocabulary: value.get("profile").and_then(Value::as_object).cloned().unwrap_or_default(),
        claims: value["claims"].as_object().expect("claims").clone(),
        risk: risk.map(|risk| risk.parse().expect("a risk level")),
        now: value["now"].as_u64().expect("a time"),
        expect: value["expect"].clone(),
        name,
    }
}

fn profile(value: Option<&Value>) -> Profile {
    let mut profile = Profile::default();
    for (key, value) in value.and_then(Value::as_object).into_iter().flatten() {
        profile = match key.as_str() {
            "ask" => pairs(value).fold(profile, |profile, (method, acr_values)| {
                profile.ask(method.parse().expect("a method"), acr_values)
            }),
            "proves" => pairs(value).fold(profile, |profile, (acr, methods)| {
                let methods = methods.iter().map(|m| m.parse::<Method>().expect("a method"));
                profile.proves(acr, methods)
            }),
            "amr-proves" => list(value).fold(profile, |profile, pair| {
                let methods = strings(&pair[1]).into_iter();
                let methods = methods.map(|name| Method::from_str(&name).expect("a method"));
                profile.amr_proves(strings(&pair[0]), methods.collect::<Vec<_>>())
            }),
            "acr-order" => profile.acr_order(strings(value)),
            "amr-claim" => profile.amr_claim(path(value)),
            "acr-claim" => profile.acr_claim(path(value)),
            "acr-list-claim" => profile.acr_list_claim(path(value)),
            "auth-time-claim" => profile.auth_time_claim(path(value)),
            "infer-mfa" => profile.infer_mfa(value == &Value::Bool(true)),
            "may-step-up" => profile.may_step_up(value == &Value::Bool(true)),
            "clock-skew" => {
                let seconds = value.as_u64().and_then(|seconds| u32::try_from(seconds).ok());
                profile.clock_skew(seconds.expect("seconds"))
            }
            other => panic!("unknown key {other} in a profile"),
        };
    }
    profile
}

/// `[["key", ["value", …]], …]`: pairs in order of preference, because a JSON object has no order.
fn pairs(value: &Value) -> impl Iterator<Item = (&str, Vec<String>)> {
    list(value).map(|pair| (pair[0].as_str().expect("a key"), strings(&pair[1])))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("a list").iter()
}

fn strings(value: &Value) -> Vec<String> {
    list(value).map(|item| item.as_str().expect("text").to_owned()).collect()
}

/// The name of a claim, or the names of an outer and an inner claim.
fn path(value: &Value) -> ClaimPath {
    match value {
        Value::String(name) => name.as_str().into(),
        names => {
            let names = strings(names);
            let [outer, inner] = &names[..] else { panic!("two names: {names:?}") };
            [outer.as_str(), inner.as_str()].into()
        }
    }
}
