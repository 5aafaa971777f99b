//! The whole flow with a real, certified OIDC provider: weak login, challenge, step-up with a real
//! second factor, success, and the challenge again when time has passed.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use axum::Router;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, redirect};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::time::{SystemTime, UNIX_EPOCH};
use stepup_runtime::testing::{AUDIENCE, TestClock};
use stepup_runtime::{Issuer, Method, Principal, StepUp, routes, step_up};
use stepup_tests::peers::{OidcProvider, PASSWORD, TOTP_SECRET};
use stepup_tests::server::Server;
use totp_rs::{Builder, Secret};

#[step_up(get = "/user-profile", trust = "standard")]
async fn profile(user: Principal) -> String {
    user.subject().to_owned()
}

#[step_up(post = "/approve-transaction", methods = ["mfa"], max_age = 300)]
async fn approve(user: Principal) -> String {
    format!("approved by {} with {}", user.subject(), user.amr().join("+"))
}

fn app(step_up: StepUp) -> Router {
    routes![profile, approve].with_state(step_up)
}

/// A browser with a session at the provider, and the client whose code it carries.
struct Browser {
    http: Client,
    issuer: String,
}

struct Tokens {
    access: String,
    id: String,
}

/// What a client asks for in an authorization request.
#[derive(Default)]
struct Ask<'a> {
    acr_values: Option<&'a str>,
    max_age: Option<&'a str>,
    resource: Option<&'a str>,
}

impl Browser {
    fn new(provider: &OidcProvider) -> Self {
        let http = Client::builder().cookie_store(true).redirect(redirect::Policy::none());
        Self { http: http.build().expect("a client"), issuer: provider.issuer.clone() }
    }

    /// The authorization code flow with PKCE (RFC 7636); the second factor is shown where `totp`
    /// says so. `None` when the provider has asked for no login.
    async fn log_in(&self, ask: Ask<'_>, totp: bool) -> (Tokens, bool) {
        let verifier = "a-verifier-that-is-long-enough-for-rfc-7636-and-no-secret-here";
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        let resource = ask.resource.unwrap_or(AUDIENCE);
        let mut query = vec![
            ("client_id", "bank-app"),
            ("response_type", "code"),
            ("redirect_uri", "http://127.0.0.1/callback"),
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
                let mut parameters = form_urlencoded::parse(query.as_bytes());
                let code = parameters.find(|(name, _)| name == "code");
                break code.unwrap_or_else(|| panic!("no code: {location}")).1.into_owned();
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
            ("client_id", "bank-app"),
            ("redirect_uri", "http://127.0.0.1/callback"),
            ("code", &code),
            ("code_verifier", verifier),
        ];
        let request = self.http.post(format!("{}/token", self.issuer)).form(&form);
        let answer: Value = request.send().await.expect("sent").json().await.expect("tokens");
        let text = |name: &str| match answer[name].as_str() {
            Some(text) => text.to_owned(),
            None => panic!("no {name}: {answer}"),
        };
        (Tokens { access: text("access_token"), id: text("id_token") }, prompted)
    }
}

fn one_time_code() -> String {
    let secret = Secret::try_from_base32(TOTP_SECRET).expect("base32");
    let totp = Builder::new().with_secret(secret).build().expect("a generator");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    totp.generate(now).to_string()
}

async fn api(provider: &OidcProvider) -> (Server, TestClock) {
    let clock = TestClock::system();
    let issuer = Issuer::new(&provider.issuer, AUDIENCE).proves("urn:test:acr:mfa", [Method::Mfa]);
    let step_up = StepUp::builder().issuer(issuer).clock(clock.clone()).build().await;
    (Server::start(app(step_up.expect("built"))).await, clock)
}

#[tokio::test]
#[ignore = "needs oidc-provider, which tests/run installs; run tests/run"]
async fn a_weak_login_is_stepped_up_at_the_provider_and_ages_again() {
    let provider = OidcProvider::start().await;
    let (api, clock) = api(&provider).await;
    let browser = Browser::new(&provider);

    let (weak, _) = browser.log_in(Ask::default(), false).await;
    assert_eq!(api.call("GET", "/user-profile", Some(&weak.access)).await.body, "alice");
    let refused = api.call("POST", "/approve-transaction", Some(&weak.access)).await;
    assert_eq!(refused.status, 401);
    let error = refused.parameter("error");
    assert_eq!(error.as_deref(), Some("insufficient_user_authentication"));

    // A client understands the challenge, and nothing else, to know what to ask for.
    let acr_values = refused.parameter("acr_values").expect("acr_values in the challenge");
    let max_age = refused.parameter("max_age").expect("max_age in the challenge");
    assert_eq!((acr_values.as_str(), max_age.as_str()), ("urn:test:acr:mfa", "300"));
    let ask = Ask { acr_values: Some(&acr_values), max_age: Some(&max_age), ..Ask::default() };
    let (strong, prompted) = browser.log_in(ask, true).await;
    assert!(prompted, "the provider asks for the second factor");
    clock.advance(1);
    let approved = api.call("POST", "/approve-transaction", Some(&strong.access)).await;
    assert_eq!(
        (approved.status, approved.body.as_str()),
        (200, "approved by alice with pwd+otp+mfa")
    );

    // The weak token has not become stronger by that.
    let again = api.call("POST", "/approve-transaction", Some(&weak.access)).await;
    assert_eq!(again.status, 401);

    clock.advance(400);
    let aged = api.call("POST", "/approve-transaction", Some(&strong.access)).await;
    assert_eq!(aged.status, 401, "{aged:?}");
    assert_eq!(aged.parameter("max_age").as_deref(), Some("300"));
    let profile = api.call("GET", "/user-profile", Some(&strong.access)).await;
    assert_eq!(profile.status, 200, "the token itself is still valid");

    clock.advance(4000);
    let expired = api.call("GET", "/user-profile", Some(&strong.access)).await;
    assert_eq!(expired.status, 401);
    assert_eq!(expired.parameter("error").as_deref(), Some("invalid_token"));
}

#[tokio::test]
#[ignore = "needs oidc-provider, which tests/run installs; run tests/run"]
async fn tokens_that_were_made_for_something_else_are_refused() {
    let provider = OidcProvider::start().await;
    let other = OidcProvider::start().await;
    let (api, _) = api(&provider).await;
    let ask = || Ask { acr_values: Some("urn:test:acr:mfa"), ..Ask::default() };

    let browser = Browser::new(&provider);
    let (good, _) = browser.log_in(ask(), true).await;
    assert_eq!(api.call("POST", "/approve-transaction", Some(&good.access)).await.status, 200);

    let elsewhere = Ask { resource: Some("https://other.test"), ..ask() };
    let (audience, _) = browser.log_in(elsewhere, true).await;
    let (issuer, _) = Browser::new(&other).log_in(ask(), true).await;
    for (what, token) in [
        ("another audience", audience.access),
        ("another issuer", issuer.access),
        ("an ID token", good.id),
    ] {
        for (method, path) in [("GET", "/user-profile"), ("POST", "/approve-transaction")] {
            let answer = api.call(method, path, Some(&token)).await;
            assert_eq!(answer.status, 401, "{what}: {answer:?}");
            assert_eq!(answer.parameter("error").as_deref(), Some("invalid_token"), "{what}");
        }
    }
}
