//! A browser with a session at the identity provider, and the OAuth client that it logs in to.

use crate::peers::{OidcProvider, PASSWORD, TOTP_SECRET};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, redirect};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::time::{SystemTime, UNIX_EPOCH};
use stepup_runtime::testing::{AUDIENCE, TestHolder};
use totp_rs::{Builder, Secret};

/// A browser that keeps its session cookies for the identity provider, and the OAuth client that it logs in to.
#[derive(Debug)]
pub struct Browser {
    http: Client,
    issuer: String,
}

/// The tokens that the client receives after a login.
#[derive(Debug)]
pub struct Tokens {
    /// The access token.
    pub access: String,
    /// The ID token.
    pub id: String,
    /// The refresh token, if the provider issues one.
    pub refresh: Option<String>,
}

/// The parameters of an authorization request.
#[derive(Debug, Default, Clone, Copy)]
pub struct AuthorizationRequest<'a> {
    /// `acr_values`
    pub acr_values: Option<&'a str>,
    /// `max_age`
    pub max_age: Option<&'a str>,
    /// `resource` (RFC 8707). The default is the API's audience.
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
    /// If the HTTP client cannot be built.
    pub fn new(provider: &OidcProvider) -> Self {
        let http = Client::builder().cookie_store(true).redirect(redirect::Policy::none());
        Self { http: http.build().expect("a client"), issuer: provider.issuer.clone() }
    }

    /// Runs the authorization code flow with PKCE (RFC 7636), with a second factor if `totp` is set. Returns the
    /// tokens, and whether the provider prompted for a login.
    ///
    /// # Errors
    /// Returns the callback URL if the provider adds an error to it.
    ///
    /// # Panics
    /// If the provider does anything else.
    pub async fn try_log_in(
        &self,
        parameters: AuthorizationRequest<'_>,
        totp: bool,
    ) -> Result<(Tokens, bool), String> {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let resource = parameters.resource.unwrap_or(AUDIENCE);
        let mut query = vec![
            ("client_id", "bank-app"),
            ("response_type", "code"),
            ("redirect_uri", CALLBACK),
            ("scope", "openid pay read"),
            ("resource", resource),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        query.extend(parameters.acr_values.map(|values| ("acr_values", values)));
        query.extend(parameters.max_age.map(|seconds| ("max_age", seconds)));
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
                assert!(!prompted, "two prompts for one login: {details}");
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
        Ok((self.tokens(&form, parameters.holder).await, prompted))
    }

    /// Like [`Browser::try_log_in`], but the login must succeed.
    ///
    /// # Panics
    /// If the login fails.
    pub async fn log_in(&self, parameters: AuthorizationRequest<'_>, totp: bool) -> (Tokens, bool) {
        self.try_log_in(parameters, totp).await.expect("the login succeeds")
    }

    async fn tokens(&self, form: &[(&str, &str)], holder: Option<&TestHolder>) -> Tokens {
        let url = format!("{}/token", self.issuer);
        let mut request = self.http.post(&url).form(&[form, &[("client_id", "bank-app")]].concat());
        if let Some(holder) = holder {
            // A proof for the token endpoint has no `ath` claim: the client does not have an access token yet (RFC 9449
            // §4.2).
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

    /// Ends the session at the provider (OpenID Connect RP-Initiated Logout).
    ///
    /// # Panics
    /// If the provider refuses.
    pub async fn log_out(&self, id_token: &str) {
        let url = format!("{}/session/end", self.issuer);
        let request = self.http.get(&url).query(&[("id_token_hint", id_token)]);
        let page = request.send().await.expect("an answer").text().await.expect("a page");
        let (_, rest) = page.split_once("name=\"xsrf\" value=\"").expect("a form");
        let (xsrf, _) = rest.split_once('"').expect("a value");
        let form = [("xsrf", xsrf), ("logout", "yes")];
        let request = self.http.post(format!("{url}/confirm")).form(&form);
        let status = request.send().await.expect("an answer").status();
        assert!(status.is_redirection(), "{status}");
    }

    /// Revokes a token (RFC 7009).
    ///
    /// # Panics
    /// If the provider refuses.
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
