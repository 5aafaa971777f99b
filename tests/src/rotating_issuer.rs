//! An issuer with scripted documents and keys that change.

use crate::fake_issuer::{FakeIssuer, Response};
use serde_json::{Value, json};
use std::time::Duration;
use stepup_runtime::Issuer;
use stepup_runtime::testing::{AUDIENCE, TestIssuer, TestToken};

/// The path of the discovery document.
pub const DISCOVERY: &str = "/.well-known/openid-configuration";

/// How long its keys are not fetched again.
pub const COOLDOWN: Duration = Duration::from_millis(300);

/// An issuer whose discovery document and keys are scripted. Another test issuer signs its tokens.
#[derive(Debug)]
pub struct RotatingIssuer {
    /// Serves its documents.
    pub http: FakeIssuer,
    /// Signs its tokens.
    pub signer: TestIssuer,
}

impl RotatingIssuer {
    /// Starts an issuer that serves valid documents.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start() -> Self {
        let http = FakeIssuer::start().await;
        let signer = TestIssuer::start().await.expect("an issuer");
        let issuer = Self { http, signer };
        issuer.publish();
        issuer
    }

    /// Its discovery document.
    pub fn discovery(&self) -> Value {
        json!({"issuer": self.http.url, "jwks_uri": format!("{}/jwks", self.http.url)})
    }

    /// Serves valid documents with the current keys from now on.
    pub fn publish(&self) {
        self.http.on(DISCOVERY, Response::json(&self.discovery()));
        self.http.on("/jwks", Response::json(&self.keys()));
    }

    /// The signer's public keys.
    ///
    /// # Panics
    /// Never, because the keys are JSON.
    pub fn keys(&self) -> Value {
        serde_json::from_str(&self.signer.jwks()).expect("JSON")
    }

    /// What trusts it.
    pub fn issuer(&self) -> Issuer {
        Issuer::new(&self.http.url, AUDIENCE).key_refresh_cooldown(COOLDOWN)
    }

    /// A token that is signed with the newest key.
    pub fn token(&self) -> TestToken {
        self.signer.token().claim("iss", self.http.url.as_str())
    }

    /// The number of requests for the keys so far.
    pub fn fetches(&self) -> usize {
        self.http.requests("/jwks").len()
    }
}
