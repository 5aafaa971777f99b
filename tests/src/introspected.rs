//! An issuer whose answers to introspections are scripted.

use crate::scripted::{Request, Script, Scripted};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use stepup_runtime::testing::{AUDIENCE, TestIssuer};
use stepup_runtime::{Introspection, Issuer};

/// See the module.
#[derive(Debug)]
pub struct Peer {
    /// What it says, at `/introspect`.
    pub http: Scripted,
    /// Whose keys it has.
    pub idp: TestIssuer,
}

impl Peer {
    /// Starts one that says of every token what [`active`](Self::active) is.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> Self {
        let (http, idp) = (Scripted::start().await, TestIssuer::start().await.expect("an issuer"));
        http.on(
            "/.well-known/openid-configuration",
            Script::json(&json!({
                "issuer": http.url, "jwks_uri": format!("{}/jwks", idp.url()),
                "introspection_endpoint": format!("{}/introspect", http.url),
            })),
        );
        let peer = Self { http, idp };
        peer.answer(&peer.active());
        peer
    }

    /// A good answer.
    ///
    /// # Panics
    /// Before 1970.
    pub fn active(&self) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        json!({"active": true, "sub": "alice", "aud": AUDIENCE, "exp": now.as_secs() + 600})
    }

    /// Says this of every token from now on.
    pub fn answer(&self, value: &Value) {
        self.http.on("/introspect", Script::json(value));
    }

    /// What trusts it, and asks it in this way.
    pub fn issuer(&self, introspection: Introspection) -> Issuer {
        Issuer::new(&self.http.url, AUDIENCE).introspect(introspection)
    }

    /// What it was asked.
    pub fn asked(&self) -> Vec<Request> {
        self.http.requests("/introspect")
    }
}

/// The API as a client of its.
pub fn basic() -> Introspection {
    Introspection::client_secret_basic("api", "secret")
}
