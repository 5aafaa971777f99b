//! How an issuer's tokens are introspected: what a program configures.

use crate::token::introspection::client_auth::ClientAuth;
use std::time::Duration;

/// How opaque tokens of an issuer are introspected (RFC 7662).
///
/// ```
/// use std::time::Duration;
/// use stepup_runtime::{Introspection, Issuer};
///
/// let issuer = Issuer::new("https://login.bank.example", "https://api.bank.example")
///     .introspect(Introspection::client_secret_basic("api", "its secret").cache(Duration::from_secs(30)));
/// ```
#[derive(Debug, Clone)]
#[must_use = "pass it to Issuer::introspect"]
pub struct Introspection {
    pub(crate) auth: ClientAuth,
    pub(crate) endpoint: Option<String>,
    pub(crate) cache: Duration,
    pub(crate) signed: bool,
    pub(crate) jwts: bool,
    pub(crate) audience_optional: bool,
}

/// The longest time that a response is kept. Far longer than any program runs, and short enough to be added to a time.
const LONGEST_CACHE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

impl Introspection {
    /// Authenticates with a client id and secret in the `Authorization` header (`client_secret_basic`).
    pub fn client_secret_basic(client_id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self::with(ClientAuth::basic(client_id.into(), secret.into()))
    }

    /// Authenticates with a client id and secret in the form (`client_secret_post`).
    pub fn client_secret_post(client_id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self::with(ClientAuth::post(client_id.into(), secret.into()))
    }

    /// Authenticates with an assertion that this private key signs (`private_key_jwt`, RFC 7523): PKCS #8 PEM of a
    /// P-256, Ed25519 or RSA key, and the `kid` under which the issuer knows the key.
    pub fn private_key_jwt(
        client_id: impl Into<String>,
        kid: Option<&str>,
        pem: impl Into<String>,
    ) -> Self {
        Self::with(ClientAuth::private_key(client_id.into(), kid.map(str::to_owned), pem.into()))
    }

    fn with(auth: ClientAuth) -> Self {
        Self {
            auth,
            endpoint: None,
            cache: Duration::from_secs(30),
            signed: false,
            jwts: false,
            audience_optional: false,
        }
    }

    /// The URL of the introspection endpoint. Without it, the issuer's discovery document names the URL.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// How long a response is kept, and so the delay until a revocation is noticed: 30 seconds by default, and never
    /// longer than the token's `exp`. With zero, or with [`TokenCache::off`](crate::TokenCache::off), every request
    /// causes an introspection.
    pub fn cache(mut self, time: Duration) -> Self {
        self.cache = time.min(LONGEST_CACHE);
        self
    }

    /// Accepts only signed responses (RFC 9701).
    pub fn signed_responses(mut self) -> Self {
        self.signed = true;
        self
    }

    /// Introspects this issuer's JWTs too, after their verification, so that revocations apply to them. A token is
    /// refused if the response differs from it in subject, key, scopes or authentication, or is for another audience or
    /// time: an `aud` in the response must name this API, and its `exp` and `nbf` apply in addition to the token's.
    pub fn jwts_too(mut self) -> Self {
        self.jwts = true;
        self
    }

    /// Accepts responses without `aud`, for issuers that never send one. Every active access token of this issuer is
    /// then accepted, whichever API it was issued for. The response must say that the token is an access token
    /// (`token_type`, or a claim that names its kind).
    pub fn audience_optional(mut self) -> Self {
        self.audience_optional = true;
        self
    }
}
