//! A builder for access tokens.

use crate::testing::claims::claim_setters;
use crate::testing::json::set;
use crate::testing::key::TestKey;
use crate::testing::proof::TestHolder;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use stepup_contract::{Endpoint, Method};

/// A builder for an access token.
#[derive(Debug, Clone)]
#[must_use = "finish with .mint()"]
pub struct TestToken {
    pub(crate) key: Arc<TestKey>,
    pub(crate) header: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
}

claim_setters!(TestToken);

impl TestToken {
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

    /// Sets the methods, the acr and the scopes that an endpoint requires, for an issuer without a mapping: each method
    /// is an `amr` value of the same name. No `amr` value proves `phishing_resistant`, and a bound token also needs
    /// [`bound_to`](Self::bound_to).
    ///
    /// ```
    /// # async fn test() -> std::io::Result<()> {
    /// use stepup_runtime::Contract;
    /// use stepup_runtime::testing::TestIssuer;
    ///
    /// let contract = Contract::parse(r#"{"path": "/pay", "security": {"step-up": true, "methods": ["mfa"]}}"#).unwrap();
    /// let issuer = TestIssuer::start().await?;
    /// let token = issuer.token().subject("bob").for_endpoint(&contract.endpoints()[0]).mint();
    /// # drop(token);
    /// # Ok(())
    /// # }
    /// ```
    pub fn for_endpoint(self, endpoint: &Endpoint) -> Self {
        let requirement = &endpoint.requirement;
        let methods = requirement.methods.iter().chain(requirement.any_methods.first());
        let amr: Vec<String> = methods
            .map(|method| match method {
                // Any of the group proves the group.
                Method::Biometric => Method::Fpt.amr().to_owned(),
                method => method.amr().to_owned(),
            })
            .collect();
        let mut token = self.scopes(requirement.scopes.iter().map(String::as_str));
        if !amr.is_empty() {
            token = token.claim("amr", amr);
        }
        match requirement.acr.first() {
            Some(acr) => token.acr(acr),
            None => token,
        }
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
