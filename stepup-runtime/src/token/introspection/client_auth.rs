//! How this API authenticates at an issuer (RFC 6749 §2.3, RFC 7523 §2.2).

use crate::jose::signing_key::{SigningKey, SigningKeyError};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use std::fmt;
use std::sync::Arc;

/// The credentials of this API as a client of its issuer.
#[derive(Clone)]
pub(crate) struct ClientAuth {
    pub(crate) client_id: String,
    method: Method,
}

#[derive(Clone)]
enum Method {
    /// `client_secret_basic`
    Basic(String),
    /// `client_secret_post`
    Post(String),
    /// `private_key_jwt`
    PrivateKey { pem: String, kid: Option<String>, key: Option<Arc<SigningKey>> },
}

/// The parts of a request that authenticate its client.
pub(crate) struct Credentials {
    /// The value of the `Authorization` header.
    pub(crate) authorization: Option<String>,
    /// Form fields.
    pub(crate) fields: Vec<(&'static str, String)>,
}

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The lifetime of an assertion, in seconds.
const ASSERTION_LIFETIME: u64 = 60;

impl ClientAuth {
    pub(crate) fn basic(client_id: String, secret: String) -> Self {
        Self { client_id, method: Method::Basic(secret) }
    }

    pub(crate) fn post(client_id: String, secret: String) -> Self {
        Self { client_id, method: Method::Post(secret) }
    }

    pub(crate) fn private_key(client_id: String, kid: Option<String>, pem: String) -> Self {
        Self { client_id, method: Method::PrivateKey { pem, kid, key: None } }
    }

    /// Parses the private key, if there is one.
    pub(crate) fn parse_key(&mut self) -> Result<(), SigningKeyError> {
        if let Method::PrivateKey { pem, key, .. } = &mut self.method {
            *key = Some(Arc::new(SigningKey::from_pem(pem)?));
        }
        Ok(())
    }

    /// The credentials for a request to this issuer. `None` if signing fails.
    pub(crate) fn credentials(&self, issuer: &str, now: u64) -> Option<Credentials> {
        let id = ("client_id", self.client_id.clone());
        Some(match &self.method {
            Method::Basic(secret) => {
                // Form-encoded first (RFC 6749 §2.3.1), so that an id may contain a colon.
                let encode = |text: &str| {
                    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>()
                };
                let pair = format!("{}:{}", encode(&self.client_id), encode(secret));
                let authorization = Some(format!("Basic {}", STANDARD.encode(pair)));
                Credentials { authorization, fields: Vec::new() }
            }
            Method::Post(secret) => Credentials {
                authorization: None,
                fields: vec![id, ("client_secret", secret.clone())],
            },
            Method::PrivateKey { kid, key, .. } => {
                let assertion = self.assertion(key.as_deref()?, kid.as_deref(), issuer, now)?;
                let kind = ("client_assertion_type", ASSERTION_TYPE.to_owned());
                Credentials {
                    authorization: None,
                    fields: vec![id, kind, ("client_assertion", assertion)],
                }
            }
        })
    }

    fn assertion(
        &self,
        key: &SigningKey,
        kid: Option<&str>,
        issuer: &str,
        now: u64,
    ) -> Option<String> {
        let mut jti = [0; 16];
        aws_lc_rs::rand::fill(&mut jti).ok()?;
        let mut header = json!({"typ": "JWT", "alg": key.algorithm()});
        if let Some(kid) = kid {
            header["kid"] = kid.into();
        }
        let expires = now.saturating_add(ASSERTION_LIFETIME);
        let claims = json!({
            "iss": self.client_id, "sub": self.client_id, "aud": issuer,
            "jti": URL_SAFE_NO_PAD.encode(jti), "iat": now, "exp": expires,
        });
        key.compact(header.as_object()?, claims.to_string().as_bytes())
    }
}

impl fmt::Debug for ClientAuth {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAuth").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}
