//! A browser with a session at the provider, and the client whose code it carries.

use crate::peers::{OidcProvider, PASSWORD, TOTP_SECRET};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, redirect};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::time::{SystemTime, UNIX_EPOCH};
use stepup_runtime::testing::{AUDIENCE, TestHolder};
use totp_rs::{Builder, Secret};

/// See the module.
#[derive(Debug)]
pub struct Browser {
    http: Client,
    issuer: String,
}

/// What the client gets.
#[derive(Debug)]
pub struct Tokens {
    /// The access token.
    pub access: String,
    /// The ID token.
    pub id: String,
    /// The refresh token, where the provider gives one.
    pub refresh: Option<String>,
}

/// What a client asks for in an authorization request.
#[derive(Debug, Default, Clone, Copy)]
pub struct Ask<'a> {
    /// `acr_values`
    pub acr_values: Option<&'a str>,
    /// `max_age`
    pub max_age: Option<&'a str>,
    /// `resource` (RFC 8707); the API's usual audience unless given.
    pub resource: Option<&'a str>,
    /// Binds the tokens to this client's key (RFC 9449 §5).
    pub holder: Option<&'a TestHolder>,
}

const CALLBACK: &str = "http://127.0.0.1/callback";
const VERIFIER: &str = "a-verifier-that-is-long-enough-for-rfc-7636-and-no-secret-here";

impl Browser {
    /// A browser without a session.
    ///
    /// # Panics
    /// When no HTTP client can be made.
    pub fn new(provider: &OidcProvider) -> Self {
        let http = Client::builder().cookie_store(true).redirect(redirect::Policy::none());
        Self { http: http.build().expect("a client"), issuer: provider.issuer.clone() }
    }

    /// The authorization code flow with PKCE (RFC 7636); the second factor is shown where `totp`
    /// says so. Tells as well whether the provider has asked for a login.
    ///
    /// # Errors
    /// The address that the provider sends the client back to, where it holds an error.
    ///
    /// # Panics
    /// When the provider does anything else.
    pub async fn try_log_in(&self, ask: Ask<'_>, totp: bool) -> Result<(Tokens, bool), String> {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let resource = ask.resource.unwrap_or(AUDIENCE);
        let mut query = vec![
            ("client_id", "bank-app"),
            ("response_type", "code"),
            ("redirect_uri", CALLBACK),
            ("scope", "openid pay read"),
            ("resource", resource),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        query.extend(ask.acr_values.map(|values| ("acr_values", values)));
        query.extend(ask.max_age.map(|seconds| ("max_age", seconds)));
        let request = self.http.get(format!("{}/auth", self.issuer)).query(&query);
        let mut response = request.send().await.expect("an answer");
        let mut prompted = false;
        let code = loop {
            let location = response.headers().get("location");
            let location = location.unwrap_or_else(|| panic!("no redirect: {response:?}"));
            let location = location.to_str().expect("text").to_owned();
            if let Some(query) = location.strip_prefix("http://127.0.0.1/callback?") {
                let mut fields = form_urlencoded::parse(query.as_bytes());
                match fields.find(|(name, _)| name == "code") {
                    Some((_, code)) => break code.into_owned(),
                    None => return Err(location),
                }
            }
            let url = match location.strip_prefix('/') {
                Some(path) => format!("{}/{path}", self.issuer),
                None => location,
            };
            response = self.http.get(&url).send().await.expect("an answer");
            if url.contains("/interaction/") {
                let details: Value = response.json().await.expect("details of the prompt");
                assert_eq!(details["prompt"], "login");
                assert!(!prompted, "asked twice for one login: {details}");
                prompted = true;
                let mut form = vec![("user", "alice".to_owned()), ("password", PASSWORD.into())];
                form.extend(totp.then(|| ("totp", one_time_code())));
                response = self.http.post(&url).form(&form).send().await.expect("an answer");
            }
        };
        let form = [
            ("grant_type", "authorization_code"),
            ("redirect_uri", CALLBACK),
            ("code", &code),
            ("code_verifier", VERIFIER),
        ];
        Ok((self.tokens(&form, ask.holder).await, prompted))
    }

    /// As [`Browser::try_log_in`], where the provider must agree.
    ///
    /// # Panics
    /// When it does not.
    pub async fn log_in(&self, ask: Ask<'_>, totp: bool) -> (Tokens, bool) {
        self.try_log_in(ask, totp).await.expect("the provider agrees")
    }

    async fn tokens(&self, form: &[(&str, &str)], holder: Option<&TestHolder>) -> Tokens {
        let url = format!("{}/token", self.issuer);
        let mut request = self.http.post(&url).form(&[form, &[("client_id", "bank-app")]].concat());
        if let Some(holder) = holder {
            // No token yet that the proof could be for (RFC 9449 §4.2).
            let proof = holder.proof("POST", &url, "").claim("ath", Value::Null).sign();
            request = request.header("dpop", proof);
        }
        let answer: Value = request.send().await.expect("sent").json().await.expect("tokens");
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        let expect = |name: &str| text(name).unwrap_or_else(|| panic!("no {name}: {answer}"));
        Tokens {
            access: expect("access_token"),
            id: expect("id_token"),
            refresh: text("refresh_token"),
        }
    }

    /// Revokes a token (RFC 7009).
    ///
    /// # Panics
    /// When the provider does not agree.
    pub async fn revoke(&self, token: &str) {
        let form = [("client_id", "bank-app"), ("token", token)];
        let request = self.http.post(format!("{}/token/revocation", self.issuer)).form(&form);
        assert_eq!(request.send().await.expect("an answer").status(), 200);
    }
}

fn one_time_code() -> String {
    let secret = Secret::try_from_base32(TOTP_SECRET).expect("base32");
    let totp = Builder::new().with_secret(secret).build().expect("a generator");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    totp.generate(now).to_string()
}
