//! A small bank behind `stepup gateway`, and questions about its requests.

use crate::gateways::Gateway;
use crate::scripted::{Script, Scripted};
use crate::server::Answer;
use serde_json::{Value, json};
use std::time::Duration;
use stepup_runtime::testing::{AUDIENCE, TestAlgorithm, TestIssuer};

/// The settings of one issuer.
pub fn issuer(idp: &str) -> String {
    format!(
        "[[issuers]]\nissuer = \"{idp}\"\naudience = \"{AUDIENCE}\"\nkey-refresh-cooldown = 0\n"
    )
}

/// Its contract, with these methods for a payment.
pub fn contract(methods: &Value) -> Value {
    json!([
        {"method": "POST", "path": "/pay", "security": {"step-up": true, "methods": methods}},
        {"method": "GET", "path": "/me", "security": {"step-up": false}},
        {"path": "/any", "security": {"step-up": false}},
    ])
}

/// Its gateway, which asks for `mfa`.
pub async fn bank(idp: &TestIssuer) -> Gateway {
    Gateway::start(&contract(&json!(["mfa"])).to_string(), &issuer(idp.url()), None).await
}

/// Where the bank is, for proofs of DPoP.
pub const RESOURCE: &str = "https://api.example";

/// Its gateway at [`RESOURCE`], which asks for `mfa` just now and for a scope; with this in the settings, which go to
/// what is rendered as well.
pub async fn resource_bank(idp: &TestIssuer, more: &str) -> Gateway {
    let mfa = json!({"step-up": true, "methods": ["mfa"], "max-age": 300, "scopes": ["pay"]});
    let contract = json!([
        {"method": "POST", "path": "/pay", "security": mfa},
        {"method": "GET", "path": "/me", "security": {"step-up": false}},
    ]);
    let settings = format!("{}\n[gateway]\nresource = \"{RESOURCE}\"\n{more}", issuer(idp.url()));
    Gateway::start(&contract.to_string(), &settings, None).await
}

/// The gateway of one that lets through what its contract does not list.
pub async fn open_bank(idp: &TestIssuer) -> Gateway {
    let contract = json!({
        "contract": 1, "service": "bank", "version": "1", "unlisted": "allow", "endpoints": [
            {"method": "POST", "path": "/pay", "security": {"step-up": true, "methods": ["mfa"]}},
        ],
    });
    Gateway::start(&contract.to_string(), &issuer(idp.url()), None).await
}

/// A question in nginx's way.
pub fn question(gateway: &Gateway, method: &str, target: &str) -> reqwest::RequestBuilder {
    reqwest::Client::new()
        .get(format!("http://{}/_stepup", gateway.address("nginx")))
        .header("x-original-method", method)
        .header("x-original-uri", target)
}

/// The status of the answer to such a question.
pub async fn status(gateway: &Gateway, method: &str, target: &str, token: &str) -> u16 {
    Answer::of(question(gateway, method, target).bearer_auth(token)).await.status
}

/// An issuer by its scripted documents, a token of its key, and one of a key that it has not published yet.
///
/// # Panics
/// When it does not start.
pub async fn with_unknown_key() -> (Scripted, TestIssuer, [String; 2]) {
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
///
/// # Panics
/// When its keys are no JSON.
pub fn publish_slowly(http: &Scripted, idp: &TestIssuer) {
    let keys = serde_json::from_str(&idp.jwks()).expect("keys");
    let time = Duration::from_millis(1500);
    http.on("/jwks", Script::After(time, Box::new(Script::json(&keys))));
}
