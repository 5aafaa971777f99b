//! How this API shows an issuer who it is: client authentication (RFC 6749 §2.3, RFC 7523 §2.2).

use crate::signing::Pair;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use std::fmt;
use std::sync::Arc;

/// Credentials of a client at its issuer.
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
    PrivateKey { pem: String, kid: Option<String>, pair: Option<Arc<Pair>> },
}

/// What a request to the issuer carries.
pub(crate) struct Shown {
    /// The Authorization header's value.
    pub(crate) authorization: Option<String>,
    /// Fields of the form.
    pub(crate) fields: Vec<(&'static str, String)>,
}

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long an assertion may be used, in seconds.
const ASSERTION_LIFE: u64 = 60;

impl ClientAuth {
    pub(crate) fn basic(client_id: String, secret: String) -> Self {
        Self { client_id, method: Method::Basic(secret) }
    }

    pub(crate) fn post(client_id: String, secret: String) -> Self {
        Self { client_id, method: Method::Post(secret) }
    }

    pub(crate) fn private_key(client_id: String, kid: Option<String>, pem: String) -> Self {
        Self { client_id, method: Method::PrivateKey { pem, kid, pair: None } }
    }

    /// Reads the private key, where there is one.
    pub(crate) fn prepare(&mut self) -> Result<(), &'static str> {
        if let Method::PrivateKey { pem, pair, .. } = &mut self.method {
            *pair = Some(Arc::new(Pair::from_pem(pem)?));
        }
        Ok(())
    }

    /// Shows them to this issuer. `None` when nothing could be signed.
    pub(crate) fn show(&self, issuer: &str, now: u64) -> Option<Shown> {
        let id = ("client_id", self.client_id.clone());
        Some(match &self.method {
            Method::Basic(secret) => {
                // Form-encoded first (RFC 6749 §2.3.1), so that a colon in an id means itself.
                let encode = |text: &str| {
                    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>()
                };
                let pair = format!("{}:{}", encode(&self.client_id), encode(secret));
                let authorization = Some(format!("Basic {}", STANDARD.encode(pair)));
                Shown { authorization, fields: Vec::new() }
            }
            Method::Post(secret) => {
                Shown { authorization: None, fields: vec![id, ("client_secret", secret.clone())] }
            }
            Method::PrivateKey { kid, pair, .. } => {
                let assertion = self.assertion(pair.as_deref()?, kid.as_deref(), issuer, now)?;
                let kind = ("client_assertion_type", ASSERTION_TYPE.to_owned());
                Shown {
                    authorization: None,
                    fields: vec![id, kind, ("client_assertion", assertion)],
                }
            }
        })
    }

    fn assertion(&self, pair: &Pair, kid: Option<&str>, issuer: &str, now: u64) -> Option<String> {
        let mut jti = [0; 16];
        aws_lc_rs::rand::fill(&mut jti).ok()?;
        let mut header = json!({"typ": "JWT", "alg": pair.algorithm()});
        if let Some(kid) = kid {
            header["kid"] = kid.into();
        }
        let claims = json!({
            "iss": self.client_id, "sub": self.client_id, "aud": issuer,
            "jti": URL_SAFE_NO_PAD.encode(jti), "iat": now, "exp": now.saturating_add(ASSERTION_LIFE),
        });
        pair.compact(header.as_object()?, claims.to_string().as_bytes())
    }
}

impl fmt::Debug for ClientAuth {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAuth").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}
