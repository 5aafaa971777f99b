//! Who calls: the verified token's content, for handlers.

use crate::refusal::{Cause, Refusal};
use crate::token::Verified;
use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;

/// The caller of a guarded handler. Taking it as an argument costs no second verification.
///
/// ```
/// use stepup_runtime::{Principal, step_up};
///
/// #[step_up(get = "/me", trust = "standard")]
/// async fn me(user: Principal) -> String {
///     format!("{} of {}", user.subject(), user.issuer())
/// }
/// ```
///
/// In a handler without `#[step_up]` it answers 500, and the log says what to write.
#[derive(Clone)]
pub struct Principal {
    verified: Arc<Verified>,
    bound: bool,
}

impl Principal {
    pub(crate) fn new(verified: Arc<Verified>, bound: bool) -> Self {
        Self { verified, bound }
    }

    /// Whether the token is bound to a key and was shown with a proof of it (RFC 9449).
    pub fn bound(&self) -> bool {
        self.bound
    }

    /// The user, as the issuer names them (`sub`). Unique only together with the issuer.
    pub fn subject(&self) -> &str {
        &self.verified.subject
    }

    /// The issuer of the token (`iss`).
    pub fn issuer(&self) -> &str {
        &self.verified.issuer.name
    }

    /// The client that the token was issued to (`client_id`, RFC 9068 §2.2, else `azp`, `cid` or
    /// `appid`).
    pub fn client(&self) -> Option<&str> {
        self.verified.client.as_deref()
    }

    /// The granted scopes.
    pub fn scopes(&self) -> &[String] {
        &self.verified.authentication.scopes
    }

    /// The authentication methods that the token states (`amr`, RFC 8176).
    pub fn amr(&self) -> &[String] {
        &self.verified.amr
    }

    /// The authentication context class that the token states (`acr`).
    pub fn acr(&self) -> Option<&str> {
        self.verified.authentication.acr.first().map(String::as_str)
    }

    /// All context classes that hold: those that the token states, then the weaker levels where the
    /// issuer's profile declares an order.
    pub fn acr_values(&self) -> &[String] {
        &self.verified.authentication.acr
    }

    /// When the user last actively authenticated, in seconds since the epoch (`auth_time`).
    pub fn auth_time(&self) -> Option<u64> {
        self.verified.authentication.auth_time
    }

    /// All claims of the token, as a type of yours.
    ///
    /// # Errors
    /// When the claims do not fit the type.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(&self.verified.claims)
    }
}

impl fmt::Debug for Principal {
    /// Without the claims, which may hold what no log should.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("subject", &self.subject())
            .field("issuer", &self.issuer())
            .finish_non_exhaustive()
    }
}

/// A principal that a guard of this crate has let in. No other crate can make one, so that a
/// `Principal` that stands in a request's extensions from elsewhere is never trusted.
#[derive(Clone)]
pub(crate) struct Admitted(pub(crate) Principal);

impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        if let Some(Admitted(principal)) = parts.extensions.get() {
            return Ok(principal.clone());
        }
        tracing::error!(
            uri = %parts.uri.path(),
            "a handler takes a Principal but has no guard; put #[step_up(trust = \"standard\")] on \
             it, or what it requires"
        );
        Err(Cause::Misconfigured("the handler is not guarded").into())
    }
}
