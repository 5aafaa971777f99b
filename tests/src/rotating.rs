//! An issuer whose documents are scripted, with keys that change.

use crate::scripted::{Script, Scripted};
use serde_json::{Value, json};
use std::time::Duration;
use stepup_runtime::Issuer;
use stepup_runtime::testing::{AUDIENCE, TestIssuer, TestToken};

/// Where its discovery document is.
pub const DISCOVERY: &str = "/.well-known/openid-configuration";

/// How long its keys are not fetched again.
pub const COOLDOWN: Duration = Duration::from_millis(300);

/// See the module. Another issuer signs in its name.
#[derive(Debug)]
pub struct Peer {
    /// What it says.
    pub http: Scripted,
    /// Who signs.
    pub signer: TestIssuer,
}

impl Peer {
    /// Starts one that serves what it should.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> Self {
        let http = Scripted::start().await;
        let signer = TestIssuer::start().await.expect("an issuer");
        let peer = Self { http, signer };
        peer.mend();
        peer
    }

    /// Its discovery document.
    pub fn discovery(&self) -> Value {
        json!({"issuer": self.http.url, "jwks_uri": format!("{}/jwks", self.http.url)})
    }

    /// Serves what it should.
    pub fn mend(&self) {
        self.http.on(DISCOVERY, Script::json(&self.discovery()));
        self.http.on("/jwks", Script::json(&self.keys()));
    }

    /// Its keys.
    ///
    /// # Panics
    /// Never: they are JSON.
    pub fn keys(&self) -> Value {
        serde_json::from_str(&self.signer.jwks()).expect("JSON")
    }

    /// What trusts it.
    pub fn issuer(&self) -> Issuer {
        Issuer::new(&self.http.url, AUDIENCE).key_refresh_cooldown(COOLDOWN)
    }

    /// A token of its newest key.
    pub fn token(&self) -> TestToken {
        self.signer.token().claim("iss", self.http.url.as_str())
    }

    /// How often its keys were fetched.
    pub fn fetches(&self) -> usize {
        self.http.requests("/jwks").len()
    }
}
