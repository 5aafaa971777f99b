//! An issuer with scripted introspection responses.

use crate::fake_issuer::{FakeIssuer, Request, Response};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use stepup_runtime::testing::{AUDIENCE, TestIssuer};
use stepup_runtime::{Introspection, Issuer};

/// An issuer whose introspection endpoint returns a scripted response for every token.
#[derive(Debug)]
pub struct IntrospectingIssuer {
    /// Serves its metadata, and the introspection endpoint at `/introspect`.
    pub http: FakeIssuer,
    /// Publishes its keys and signs its tokens.
    pub idp: TestIssuer,
}

impl IntrospectingIssuer {
    /// Starts an issuer that responds with [`active`](Self::active) for every token.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start() -> Self {
        let (http, idp) =
            (FakeIssuer::start().await, TestIssuer::start().await.expect("an issuer"));
        http.on(
            "/.well-known/openid-configuration",
            Response::json(&json!({
                "issuer": http.url, "jwks_uri": format!("{}/jwks", idp.url()),
                "introspection_endpoint": format!("{}/introspect", http.url),
            })),
        );
        let issuer = Self { http, idp };
        issuer.respond_with(&issuer.active());
        issuer
    }

    /// A response for an active token.
    ///
    /// # Panics
    /// If the clock is before 1970.
    pub fn active(&self) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        json!({"active": true, "sub": "alice", "aud": AUDIENCE, "exp": now.as_secs() + 600})
    }

    /// Sets the response for every token from now on.
    pub fn respond_with(&self, value: &Value) {
        self.http.on("/introspect", Response::json(value));
    }

    /// A configuration that trusts this issuer and introspects its tokens.
    pub fn issuer(&self, introspection: Introspection) -> Issuer {
        Issuer::new(&self.http.url, AUDIENCE).introspect(introspection)
    }

    /// The introspection requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.http.requests("/introspect")
    }
}

/// Introspection with the API's client secret (HTTP Basic).
pub fn basic() -> Introspection {
    Introspection::client_secret_basic("api", "secret")
}
