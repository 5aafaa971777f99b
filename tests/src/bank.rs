//! A small bank behind `stepup gateway`, and check requests to that gateway.

use crate::fake_issuer::{FakeIssuer, Hold, Response};
use crate::gateways::Gateway;
use crate::server::Answer;
use serde_json::{Value, json};
use stepup_runtime::testing::{AUDIENCE, TestAlgorithm, TestIssuer};

/// The settings of a gateway with one issuer.
pub fn issuer(idp: &str) -> String {
    format!(
        "[[issuers]]\nissuer = \"{idp}\"\naudience = \"{AUDIENCE}\"\nkey-refresh-cooldown = 0\n"
    )
}

/// The bank's contract. A payment requires these methods.
pub fn contract(methods: &Value) -> Value {
    json!([
        {"method": "POST", "path": "/pay", "security": {"step-up": true, "methods": methods}},
        {"method": "GET", "path": "/me", "security": {"step-up": false}},
        {"path": "/any", "security": {"step-up": false}},
    ])
}

/// The bank's gateway. A payment requires `mfa`.
pub async fn bank(idp: &TestIssuer) -> Gateway {
    Gateway::start(&contract(&json!(["mfa"])).to_string(), &issuer(idp.url()), None).await
}

/// The URL of the bank's API, for DPoP proofs.
pub const RESOURCE: &str = "https://api.example";

/// The bank's gateway for the API at [`RESOURCE`]. A payment requires a recent `mfa` and a scope. The text in `more` is
/// added to the `[gateway]` settings, which `stepup render` reads as well.
pub async fn resource_bank(idp: &TestIssuer, more: &str) -> Gateway {
    let mfa = json!({"step-up": true, "methods": ["mfa"], "max-age": 300, "scopes": ["pay"]});
    let contract = json!([
        {"method": "POST", "path": "/pay", "security": mfa},
        {"method": "GET", "path": "/me", "security": {"step-up": false}},
    ]);
    let settings = format!("{}\n[gateway]\nresource = \"{RESOURCE}\"\n{more}", issuer(idp.url()));
    Gateway::start(&contract.to_string(), &settings, None).await
}

/// The gateway of a bank whose contract allows endpoints that it does not list.
pub async fn open_bank(idp: &TestIssuer) -> Gateway {
    let contract = json!({
        "contract": 1, "service": "bank", "version": "1", "unlisted": "allow", "endpoints": [
            {"method": "POST", "path": "/pay", "security": {"step-up": true, "methods": ["mfa"]}},
        ],
    });
    Gateway::start(&contract.to_string(), &issuer(idp.url()), None).await
}

/// A check request as nginx sends it.
pub fn check_request(gateway: &Gateway, method: &str, target: &str) -> reqwest::RequestBuilder {
    reqwest::Client::new()
        .get(format!("http://{}/_stepup", gateway.address("nginx")))
        .header("x-original-method", method)
        .header("x-original-uri", target)
}

/// Sends a check request as nginx does, and returns the status of the response.
pub async fn status(gateway: &Gateway, method: &str, target: &str, token: &str) -> u16 {
    Answer::of(check_request(gateway, method, target).bearer_auth(token)).await.status
}

/// An issuer with scripted documents, the signer of its tokens, and three tokens: two that are signed with its published
/// key, and one that is signed with a key that it has not published yet.
///
/// # Panics
/// If the issuer does not start.
pub async fn with_unknown_key() -> (FakeIssuer, TestIssuer, [String; 3]) {
    let http = FakeIssuer::start().await;
    let idp = TestIssuer::start().await.expect("an issuer");
    let keys = serde_json::from_str(&idp.jwks()).expect("keys");
    let document = json!({"issuer": http.url, "jwks_uri": format!("{}/jwks", http.url)});
    http.on("/.well-known/openid-configuration", Response::json(&document));
    http.on("/jwks", Response::json(&keys));
    let token = || idp.token().claim("iss", http.url.as_str());
    let (one, other) = (token().mint(), token().claim("jti", "other").mint());
    idp.rotate_keeping("another", TestAlgorithm::Es256).expect("a key");
    let unknown = token().claim("amr", json!(["mfa"])).mint();
    (http, idp, [one, other, unknown])
}

/// Publishes the new key, and holds back every response with the keys until the hold is released.
///
/// # Panics
/// If the keys are not JSON.
pub fn publish_on_release(http: &FakeIssuer, idp: &TestIssuer) -> Hold {
    let (hold, keys) = (Hold::default(), serde_json::from_str(&idp.jwks()).expect("keys"));
    http.on("/jwks", Response::Held(hold.clone(), Box::new(Response::json(&keys))));
    hold
}
