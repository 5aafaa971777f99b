//! The caller of a request, as its verified token describes them.

use crate::token::verified::VerifiedToken;
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
/// In a handler without `#[step_up]`, the response is 500 and the log says how to fix it.
#[derive(Clone)]
pub struct Principal {
    token: Arc<VerifiedToken>,
    bound: bool,
}

impl Principal {
    pub(crate) fn new(token: Arc<VerifiedToken>, bound: bool) -> Self {
        Self { token, bound }
    }

    /// Whether the token is bound to a key and was presented with a proof of the key (RFC 9449).
    pub fn bound(&self) -> bool {
        self.bound
    }

    /// The user, as the issuer names them (`sub`). Unique only together with the issuer.
    pub fn subject(&self) -> &str {
        &self.token.subject
    }

    /// The issuer of the token (`iss`).
    pub fn issuer(&self) -> &str {
        &self.token.issuer.name
    }

    /// The client that the token was issued to (`client_id`, RFC 9068 §2.2, else `azp`, `cid` or `appid`).
    pub fn client(&self) -> Option<&str> {
        self.token.client.as_deref()
    }

    /// The session at the issuer (`sid`), if the token names it.
    pub fn session(&self) -> Option<&str> {
        self.token.session.as_deref()
    }

    /// The granted scopes.
    pub fn scopes(&self) -> &[String] {
        &self.token.authentication.scopes
    }

    /// The authentication methods in the token (`amr`, RFC 8176).
    pub fn amr(&self) -> &[String] {
        &self.token.amr
    }

    /// The authentication context class in the token (`acr`).
    pub fn acr(&self) -> Option<&str> {
        self.token.authentication.acr.first().map(String::as_str)
    }

    /// All context classes that hold: those in the token, then the weaker levels if the issuer's profile declares an
    /// order.
    pub fn acr_values(&self) -> &[String] {
        &self.token.authentication.acr
    }

    /// When the user last actively authenticated, in seconds since the epoch (`auth_time`).
    pub fn auth_time(&self) -> Option<u64> {
        self.token.authentication.auth_time
    }

    /// All claims of the token, as a type of yours.
    ///
    /// # Errors
    /// If the claims do not fit the type.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.token.claims)
    }
}

impl fmt::Debug for Principal {
    /// Without the claims, which may contain personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("subject", &self.subject())
            .field("issuer", &self.issuer())
            .finish_non_exhaustive()
    }
}

/// A principal that enforcement has authorized, for an adapter to attach to the request. No other crate can create one,
/// so a `Principal` that other code attaches to a request is never trusted.
#[derive(Clone)]
pub(crate) struct AuthorizedPrincipal(pub(crate) Principal);
