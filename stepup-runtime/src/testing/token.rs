//! A builder for access tokens.

use crate::testing::json::set;
use crate::testing::key::TestKey;
use crate::testing::proof::TestHolder;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A builder for an access token.
#[derive(Debug, Clone)]
#[must_use = "finish with .mint()"]
pub struct TestToken {
    pub(crate) key: Arc<TestKey>,
    pub(crate) header: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
}

impl TestToken {
    /// Sets a claim.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Removes a claim.
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Sets a header parameter; `null` removes it.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.header, name, value.into());
        self
    }

    /// Binds the token to a key (RFC 9449 §6.1).
    pub fn bound_to(self, holder: &TestHolder) -> Self {
        self.claim("cnf", json!({"jkt": holder.thumbprint()}))
    }

    /// Signs the token.
    pub fn mint(self) -> String {
        let payload = Value::Object(self.claims.clone()).to_string();
        self.mint_payload(payload.as_bytes())
    }

    /// Signs these bytes instead of the claims.
    pub fn mint_payload(&self, payload: &[u8]) -> String {
        self.key.sign(&self.header, payload)
    }
}
