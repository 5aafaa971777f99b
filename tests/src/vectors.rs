//! The decision vectors in `tests/vectors/*.json`: requirement, issuer profile, token claims, time,
//! and what must come of them. Each file is a list, or an object with a list `vectors`.

use crate::server::Answer;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::sync::{LazyLock, Mutex};
use stepup_contract::{ClaimPath, Contract, Method, Profile, Requirement, RiskLevel};
use stepup_runtime::testing::TestIssuer;

/// One vector.
#[derive(Debug, Clone)]
pub struct Vector {
    /// The file and the sentence that names it.
    pub name: String,
    /// What the endpoint asks.
    pub requirement: Requirement,
    /// How the issuer asks and proves.
    pub profile: Profile,
    /// The same as it is written.
    pub vocabulary: Map<String, Value>,
    /// The token's claims.
    pub claims: Map<String, Value>,
    /// The session's risk, where it is known.
    pub risk: Option<RiskLevel>,
    /// The time, in seconds since the epoch.
    pub now: u64,
    /// What must come of it.
    pub expect: Value,
}

/// Every vector.
///
/// # Panics
/// When a file cannot be read as vectors.
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
    /// Whether it asks for something that this version cannot enforce, and refuses every request instead.
    pub fn comes_later(&self) -> bool {
        self.requirement.risk.is_some() || self.requirement.per_action
    }

    /// The token that it is about.
    pub fn token(&self, idp: &TestIssuer) -> String {
        let mut token = idp.token_at(self.now).without("auth_time");
        for (name, value) in &self.claims {
            token = token.claim(name, value.clone());
        }
        token.mint()
    }

    /// How an answer over HTTP differs from what it has to be, if it does. `reached` is the body of an
    /// answer by what is guarded.
    ///
    /// # Panics
    /// When the vector expects a decision of a name that is not known.
    pub fn disagrees(&self, answer: &Answer, reached: &str) -> Option<String> {
        let (status, error) = match self.expect["decision"].as_str().expect("a decision") {
            // What cannot be enforced yet refuses every request, whatever the decision.
            _ if self.comes_later() => (500, None),
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
        let expected = |name| if self.comes_later() { None } else { text(name) };
        let names = ["acr_values", "max_age", "scope"];
        let told = answer.challenge();
        let agrees = answer.status == status
            && (answer.body == reached) == (status == 200)
            && self.has_these_parameters(&told, error, names.map(|name| (name, expected(name))))
            && *FIRST.lock().expect("no panic").entry(self.name.clone()).or_insert(told.clone())
                == told
            && (status == 200
                || self.comes_later()
                || names.iter().all(|name| answer.json()[name] == challenge[name]));
        let (name, expect) = (&self.name, &self.expect);
        (!agrees).then(|| format!("{name}\n  expected {expect}\n  got {answer:?}"))
    }

    /// Whether a challenge is in the right scheme and has these parameters, what is wrong in words, and no other.
    fn has_these_parameters(
        &self,
        told: &Option<Told>,
        error: Option<&str>,
        expected: [(&str, Option<String>); 3],
    ) -> bool {
        let Some(error) = error else { return told.is_none() };
        let bound = self.requirement.bound;
        let mut names = vec!["error", "error_description"];
        names.extend(bound.then_some("algs"));
        names.extend(expected.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| *name));
        told.as_ref().is_some_and(|(scheme, parameters)| {
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

/// A challenge's scheme and parameters.
type Told = (String, Vec<(String, String)>);

/// The first challenge of each vector: every later one has to be the same, word by word, by whatever way it came.
static FIRST: LazyLock<Mutex<HashMap<String, Option<Told>>>> = LazyLock::new(Mutex::default);

fn read(file: &str, value: &Value) -> Vector {
    let name = format!("{file}: {}", value["name"].as_str().expect("a name"));
    const KNOWN: [&str; 7] = ["name", "requirement", "profile", "claims", "risk", "now", "expect"];
    for key in value.as_object().expect("an object").keys() {
        assert!(KNOWN.contains(&key.as_str()), "{name}: unknown key {key}");
    }
    // The contract's own parser reads the requirement.
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

/// `[["key", ["value", …]], …]`: an order of preference, which a JSON object does not have.
fn pairs(value: &Value) -> impl Iterator<Item = (&str, Vec<String>)> {
    list(value).map(|pair| (pair[0].as_str().expect("a key"), strings(&pair[1])))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("a list").iter()
}

fn strings(value: &Value) -> Vec<String> {
    list(value).map(|item| item.as_str().expect("text").to_owned()).collect()
}

/// A claim's name, or names from the outside in; two are enough here.
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
