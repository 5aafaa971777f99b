//! The same handler, protected by Step-up and by each of its peers. Each checks the signature, issuer,
//! audience and expiry of the same token. Step-up also checks the methods and the age of the login.

use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::routing::get;
use axum_jwt_auth::{Claims, Decoder, RemoteJwksDecoder};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Request, StatusCode};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use oauth_resource_server::axum::AuthLayer;
use oauth_resource_server::{KeyNaming, OAuthConfig, OAuthValidator, static_token_policy};
use serde::Deserialize;
use std::sync::Arc;
use stepup_runtime::testing::{AUDIENCE, TestAlgorithm, TestIssuer};
use stepup_runtime::{StepUp, TokenCache, routes, step_up};
use tower::ServiceExt;
use tower_oauth2_resource_server::server::OAuth2ResourceServer;
use tower_oauth2_resource_server::tenant::TenantConfiguration;

/// A protected service.
#[derive(Debug, Clone)]
pub enum App {
    /// With the version of axum that Step-up uses.
    Current(Router),
    /// With axum 0.7, which jwt-authorizer requires.
    Older(axum07::Router),
}

/// The names in the order of the output. The first is the baseline of all ratios.
pub const NAMES: [&str; 8] = [
    "unguarded",
    "stepup-cached",
    "stepup-cold",
    "hand-written",
    "oauth-resource-server",
    "tower-oauth2-resource-server",
    "axum-jwt-auth",
    "jwt-authorizer",
];

/// The claims that the peers read from a token.
#[derive(Debug, Clone, Deserialize)]
pub struct Read {
    /// The user.
    pub sub: String,
}

async fn hello() -> &'static str {
    "hello"
}

#[step_up(get = "/", methods = ["mfa"], max_age = 3000)]
async fn guarded() -> &'static str {
    "hello"
}

impl App {
    /// Calls the service in process, with this Authorization header.
    ///
    /// # Panics
    /// If `bearer` is not a valid header value.
    pub async fn call(&self, bearer: &str) -> StatusCode {
        let request = Request::get("/").header(AUTHORIZATION, bearer);
        match self.clone() {
            Self::Current(app) => {
                let request = request.body(axum::body::Body::empty()).expect("a request");
                app.oneshot(request).await.expect("infallible").status()
            }
            Self::Older(app) => {
                let request = request.body(axum07::body::Body::empty()).expect("a request");
                app.oneshot(request).await.expect("infallible").status()
            }
        }
    }
}

/// Installs the fast crypto backend for the peers. With their default backend, some are several times slower.
pub fn install_fast_backend() {
    // An error means that a backend is already installed.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let _ = jsonwebtoken10::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

/// Builds the service with this name. The issuer must keep serving its keys.
///
/// # Panics
/// If the service cannot be built.
pub async fn app(name: &str, idp: &TestIssuer, algorithm: TestAlgorithm) -> App {
    let algorithm = match algorithm {
        TestAlgorithm::Rs256 => Algorithm::RS256,
        TestAlgorithm::Es256 => Algorithm::ES256,
        TestAlgorithm::EdDsa => Algorithm::EdDSA,
    };
    let jwks = format!("{}/jwks", idp.url());
    match name {
        "unguarded" => App::Current(Router::new().route("/", get(hello))),
        "stepup-cached" => stepup(idp, TokenCache::default()).await,
        "stepup-cold" => stepup(idp, TokenCache::off()).await,
        "hand-written" => {
            let set: JwkSet = serde_json::from_str(&idp.jwks()).expect("a key set");
            let keys = Arc::new(HandWritten { set, validation: validation(idp, algorithm) });
            App::Current(Router::new().route("/", get(by_hand)).with_state(keys))
        }
        "oauth-resource-server" => {
            let config = serde_json::json!({
                "enabled": true, "issuer": idp.url(), "jwks_uri": jwks, "audience": AUDIENCE,
                "resource": AUDIENCE, "required_scope": "payments:read",
                "scopes_supported": ["payments:read"],
            });
            let config: OAuthConfig = serde_json::from_value(config).expect("a configuration");
            let resolved = config.resolve(KeyNaming::Dotted("oauth")).expect("valid");
            let resolved = resolved.expect("enabled");
            let validator = Arc::new(OAuthValidator::new(&resolved).expect("a validator"));
            validator.refresh_now().await.expect("keys");
            let decision = static_token_policy(None, Some(&resolved), false).expect("a decision");
            let layer = AuthLayer::from_decision(decision, Some(validator)).expect("a layer");
            App::Current(Router::new().route("/", get(hello)).route_layer(layer))
        }
        "tower-oauth2-resource-server" => {
            let tenant = TenantConfiguration::builder(idp.url()).audiences(&[AUDIENCE]);
            let tenant = tenant.build().await.expect("a tenant");
            let server = <OAuth2ResourceServer>::builder().add_tenant(tenant).build().await;
            let layer = server.expect("a server").into_layer();
            // A background task loads the keys.
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            App::Current(Router::new().route("/", get(hello)).layer(layer))
        }
        "axum-jwt-auth" => {
            // This peer uses jsonwebtoken 10.
            let algorithm = if algorithm == Algorithm::RS256 {
                jsonwebtoken10::Algorithm::RS256
            } else {
                jsonwebtoken10::Algorithm::ES256
            };
            let mut validation = jsonwebtoken10::Validation::new(algorithm);
            validation.set_audience(&[AUDIENCE]);
            validation.set_issuer(&[idp.url()]);
            let decoder = RemoteJwksDecoder::builder().jwks_url(jwks).validation(validation);
            let decoder = Arc::new(decoder.build().expect("a decoder"));
            decoder.initialize().await.expect("keys");
            let state: Decoder<Read> = decoder;
            async fn handler(_: Claims<Read>) -> &'static str {
                "hello"
            }
            App::Current(Router::new().route("/", get(handler)).with_state(state))
        }
        "jwt-authorizer" => {
            use jwt_authorizer::{IntoLayer, JwtAuthorizer, Validation};
            let validation = Validation::new().iss(&[idp.url()]).aud(&[AUDIENCE]);
            let authorizer = JwtAuthorizer::<Read>::from_jwks_url(&jwks).validation(validation);
            let layer = authorizer.build().await.expect("an authorizer").into_layer();
            App::Older(axum07::Router::new().route("/", axum07::routing::get(hello)).layer(layer))
        }
        other => panic!("no such peer: {other}"),
    }
}

async fn stepup(idp: &TestIssuer, cache: TokenCache) -> App {
    let step_up = StepUp::builder().issuer(idp.issuer()).token_cache(cache).build().await;
    App::Current(routes![guarded].with_state(step_up.expect("built")))
}

fn validation(idp: &TestIssuer, algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[idp.url()]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation
}

/// A typical hand-written guard with jsonwebtoken, which does not check methods and age.
struct HandWritten {
    set: JwkSet,
    validation: Validation,
}

struct ByHand;

impl FromRequestParts<Arc<HandWritten>> for ByHand {
    type Rejection = StatusCode;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &Arc<HandWritten>,
    ) -> Result<Self, StatusCode> {
        const NO: StatusCode = StatusCode::UNAUTHORIZED;
        let header = parts.headers.get(AUTHORIZATION).ok_or(NO)?.to_str().map_err(|_| NO)?;
        let token = header.strip_prefix("Bearer ").ok_or(NO)?;
        let kid = decode_header(token).map_err(|_| NO)?.kid.ok_or(NO)?;
        let jwk = state.set.find(&kid).ok_or(NO)?;
        let key = DecodingKey::from_jwk(jwk).map_err(|_| NO)?;
        decode::<Read>(token, &key, &state.validation).map_err(|_| NO)?;
        Ok(Self)
    }
}

async fn by_hand(_: ByHand, State(_): State<Arc<HandWritten>>) -> &'static str {
    "hello"
}
