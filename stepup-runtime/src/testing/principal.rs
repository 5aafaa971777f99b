//! A caller for unit tests that call a handler as a function.

use crate::config::issuer::Issuer;
use crate::enforcement::principal::Principal;
use crate::support::clock::{Clock, SystemClock};
use crate::testing::AUDIENCE;
use crate::testing::claims::claim_setters;
use crate::testing::json::object;
use crate::token::verified::{ClaimsSource, VerifiedToken};
use serde_json::{Map, Value, json};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// The name of the issuer of test principals.
const ISSUER: &str = "https://issuer.test";

/// A public key, because an issuer must have one. Nobody has its private key.
const KEYS: &str = r#"{"keys": [{"kty": "EC", "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

/// Builds a [`Principal`] for a unit test.
///
/// ```
/// use stepup_runtime::testing::Guard;
/// use stepup_runtime::{Principal, step_up};
///
/// #[step_up(post = "/approve", methods = ["mfa"])]
/// async fn approve(user: Principal) -> String {
///     format!("{} approved", user.subject())
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let bob = Principal::for_test().subject("bob").amr(["pwd", "mfa"]).build();
/// assert_eq!(approve(Guard::for_test(), bob).await, "bob approved");
/// # });
/// ```
#[derive(Debug, Clone)]
#[must_use = "finish with .build()"]
pub struct TestPrincipal {
    claims: Map<String, Value>,
    bound: bool,
}

impl Principal {
    /// Starts a caller for a unit test: `alice`, who authenticated just now without a stated method.
    pub fn for_test() -> TestPrincipal {
        let now = SystemClock.now();
        let claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "client_id": "test-client", "iat": now,
            "exp": now + 3600, "auth_time": now,
        });
        TestPrincipal { claims: object(claims), bound: false }
    }
}

claim_setters!(TestPrincipal);

impl TestPrincipal {
    /// Sets the client.
    pub fn client(self, client: &str) -> Self {
        self.claim("client_id", client)
    }

    /// Sets whether the token is bound to a key and was presented with its proof.
    pub fn bound(self, bound: bool) -> Self {
        Self { bound, ..self }
    }

    /// The caller.
    ///
    /// # Panics
    /// If a claim makes the token unusable, such as an empty subject.
    #[expect(clippy::expect_used, reason = "for tests, which fail by panicking")]
    pub fn build(self) -> Principal {
        let issuer = Issuer::new(ISSUER, AUDIENCE).jwks(KEYS);
        // Keys that are passed as text need no waiting.
        let connected = pin!(issuer.connect()).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(connected) = connected else { unreachable!("nothing is fetched") };
        let (issuer, _) = connected.expect("the issuer is valid");
        let json = Value::Object(self.claims.clone()).to_string().into_bytes();
        let source = ClaimsSource { key: None, introspected_until: None };
        let token = VerifiedToken::new(&issuer, &self.claims, json, source, false);
        Principal::new(Arc::new(token.expect("the claims make a token")), self.bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_has_what_was_set_and_needs_no_runtime() {
        let bob = Principal::for_test()
            .subject("bob")
            .client("app")
            .scopes(["read", "pay"])
            .amr(["pwd"])
            .acr("gold")
            .logged_in_ago(60)
            .bound(true)
            .claim("tenant", "acme")
            .build();
        assert_eq!((bob.subject(), bob.client(), bob.acr()), ("bob", Some("app"), Some("gold")));
        assert_eq!(
            (bob.scopes(), bob.amr()),
            (&["read".into(), "pay".into()][..], &["pwd".into()][..])
        );
        assert!(bob.bound() && bob.auth_time().is_some_and(|time| time <= SystemClock.now() - 60));
        assert_eq!(bob.claims::<Value>().unwrap()["tenant"], "acme");
    }
}
