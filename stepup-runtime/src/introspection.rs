//! How an issuer is asked about opaque tokens (RFC 7662): what a program says of it. `introspector` does
//! it.

use crate::client_auth::ClientAuth;
use crate::issuer::LONG;
use std::time::Duration;

/// How an issuer is asked about tokens that are not JWTs.
///
/// ```
/// use std::time::Duration;
/// use stepup_runtime::{Introspection, Issuer};
///
/// let issuer = Issuer::new("https://login.bank.example", "https://api.bank.example")
///     .introspect(Introspection::client_secret_basic("api", "its secret").cache(Duration::from_secs(30)));
/// ```
#[derive(Debug, Clone)]
#[must_use = "give it to Issuer::introspect"]
pub struct Introspection {
    pub(crate) auth: ClientAuth,
    pub(crate) endpoint: Option<String>,
    pub(crate) cache: Duration,
    pub(crate) signed: bool,
    pub(crate) jwts: bool,
    pub(crate) audience_optional: bool,
}

impl Introspection {
    /// With the client's id and secret in an Authorization header (`client_secret_basic`).
    pub fn client_secret_basic(client_id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self::with(ClientAuth::basic(client_id.into(), secret.into()))
    }

    /// With the client's id and secret in the form (`client_secret_post`).
    pub fn client_secret_post(client_id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self::with(ClientAuth::post(client_id.into(), secret.into()))
    }

    /// With an assertion that this private key signs (`private_key_jwt`, RFC 7523): PKCS #8 PEM of a
    /// P-256, Ed25519 or RSA key, and the `kid` under which the issuer knows it.
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

    /// Where to ask; the issuer's discovery document says so unless this does.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// How long an answer is kept, and so how late a revocation may be noticed: 30 seconds unless
    /// given, never longer than the token's `exp`. Zero asks on every request, and so does
    /// [`TokenCache::off`](crate::TokenCache::off).
    pub fn cache(mut self, time: Duration) -> Self {
        self.cache = time.min(LONG);
        self
    }

    /// Accepts signed answers only (RFC 9701).
    pub fn signed_responses(mut self) -> Self {
        self.signed = true;
        self
    }

    /// Asks about this issuer's JWTs too, once they are verified, so that a revocation counts for them
    /// as well. An answer that says otherwise than the token of its user, its key, its scopes or its
    /// login refuses it, and so does one for another audience or of another time: where the answer has `aud`, it must
    /// name this API, and `exp` and `nbf` count beside the token's own.
    pub fn jwts_too(mut self) -> Self {
        self.jwts = true;
        self
    }

    /// Accepts answers that name no `aud`, for issuers that never do. Then any active access token of
    /// this issuer is accepted, for whichever API it was made; that it is an access token, the answer
    /// must say (`token_type`, or a claim that names its kind).
    pub fn audience_optional(mut self) -> Self {
        self.audience_optional = true;
        self
    }
}
