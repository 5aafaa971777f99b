//! The whole flow with a real, certified OIDC provider: weak login, challenge, step-up with a real
//! second factor, success, and another challenge once the login is too old.

use axum::Router;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use stepup_runtime::testing::{AUDIENCE, TestAlgorithm, TestClock, TestHolder};
use stepup_runtime::{
    Introspection, Issuer, Method, Principal, Sessions, StepUp, TokenCache, routes, step_up,
};
use stepup_tests::browser::{AuthorizationRequest, Browser};
use stepup_tests::command::workspace;
use stepup_tests::peers::OidcProvider;
use stepup_tests::server::{Answer, Server};

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

async fn api(provider: &OidcProvider) -> (Server, TestClock) {
    let clock = TestClock::system();
    let issuer = Issuer::new(&provider.issuer, AUDIENCE)
        .ask(Method::Mfa, ["urn:test:acr:mfa"])
        .proves("urn:test:acr:mfa", [Method::Mfa]);
    let step_up = StepUp::builder().issuer(issuer).clock(clock.clone()).build().await;
    (Server::start(app(step_up.expect("built"))).await, clock)
}

#[tokio::test]
#[ignore = "needs oidc-provider, which tests/run installs; run tests/run"]
async fn a_weak_login_is_stepped_up_at_the_provider_and_later_becomes_too_old() {
    let provider = OidcProvider::start().await;
    let (api, clock) = api(&provider).await;
    let browser = Browser::new(&provider);

    let (weak, _) = browser.log_in(AuthorizationRequest::default(), false).await;
    assert_eq!(api.call("GET", "/user-profile", Some(&weak.access)).await.body, "alice");
    let refused = api.call("POST", "/approve-transaction", Some(&weak.access)).await;
    assert_eq!(refused.status, 401);
    let error = refused.parameter("error");
    assert_eq!(error.as_deref(), Some("insufficient_user_authentication"));

    // The challenge alone contains all parameters of the next login.
    let acr_values = refused.parameter("acr_values").expect("acr_values in the challenge");
    let max_age = refused.parameter("max_age").expect("max_age in the challenge");
    assert_eq!((acr_values.as_str(), max_age.as_str()), ("urn:test:acr:mfa", "300"));
    let ask = AuthorizationRequest {
        acr_values: Some(&acr_values),
        max_age: Some(&max_age),
        ..AuthorizationRequest::default()
    };
    let (strong, prompted) = browser.log_in(ask, true).await;
    assert!(prompted, "the provider requires the second factor");
    clock.advance(1);
    let approved = api.call("POST", "/approve-transaction", Some(&strong.access)).await;
    assert_eq!(
        (approved.status, approved.body.as_str()),
        (200, "approved by alice with pwd+otp+mfa")
    );

    // The step-up does not make the weak token stronger.
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
async fn tokens_that_were_issued_for_another_purpose_are_refused() {
    let provider = OidcProvider::start().await;
    let other = OidcProvider::start().await;
    let (api, _) = api(&provider).await;
    let ask = || AuthorizationRequest {
        acr_values: Some("urn:test:acr:mfa"),
        ..AuthorizationRequest::default()
    };

    let browser = Browser::new(&provider);
    let (good, _) = browser.log_in(ask(), true).await;
    assert_eq!(api.call("POST", "/approve-transaction", Some(&good.access)).await.status, 200);

    let elsewhere = AuthorizationRequest { resource: Some("https://other.test"), ..ask() };
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

const MFA: AuthorizationRequest<'_> = AuthorizationRequest {
    acr_values: Some("urn:test:acr:mfa"),
    max_age: None,
    resource: None,
    holder: None,
};

fn issuer(provider: &OidcProvider, audience: &str) -> Issuer {
    Issuer::new(&provider.issuer, audience)
        .ask(Method::Mfa, ["urn:test:acr:mfa"])
        .proves("urn:test:acr:mfa", [Method::Mfa])
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs oidc-provider, which tests/run installs; run tests/run"]
async fn no_valid_request_is_refused_while_the_provider_rotates_its_keys() {
    for cache in [TokenCache::default(), TokenCache::off()] {
        rotation_under_load(cache).await;
    }
}

async fn rotation_under_load(cache: TokenCache) {
    let mut provider = OidcProvider::start().await;
    let issuer = issuer(&provider, AUDIENCE).key_refresh_cooldown(Duration::from_millis(200));
    let builder = StepUp::builder().issuer(issuer).token_cache(cache);
    let step_up = builder.build().await.expect("built");
    let server = Arc::new(Server::start(app(step_up)).await);
    let browser = Browser::new(&provider);
    let (old, _) = browser.log_in(MFA, true).await;

    let stop = Arc::new(AtomicBool::new(false));
    let (served, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let load = |token: &str| {
        let (server, stop) = (Arc::clone(&server), Arc::clone(&stop));
        let (served, refused) = (Arc::clone(&served), Arc::clone(&refused));
        let token = token.to_owned();
        tokio::spawn(async move {
            let client = reqwest::Client::new();
            while !stop.load(Ordering::SeqCst) {
                let request = client.post(server.url("/approve-transaction")).bearer_auth(&token);
                let good = request.send().await.expect("an answer").status() == 200;
                (if good { &served } else { &refused }).fetch_add(1, Ordering::SeqCst);
            }
        })
    };
    let mut workers: Vec<_> = (0..4).map(|_| load(&old.access)).collect();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        provider.rotate().await;
        // A token with the new key is accepted from the first request on.
        let (new, _) = browser.log_in(MFA, true).await;
        workers.extend((0..2).map(|_| load(&new.access)));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.store(true, Ordering::SeqCst);
    for worker in workers {
        worker.await.expect("no panic");
    }
    let (served, refused) = (served.load(Ordering::SeqCst), refused.load(Ordering::SeqCst));
    assert_eq!(refused, 0, "of {}", served + refused);
    assert!(served > 500, "{served}");

    // Once the provider no longer publishes a key, the tokens signed with it are refused.
    provider.retire().await;
    provider.rotate().await;
    tokio::time::sleep(Duration::from_millis(250)).await;
    let (new, _) = browser.log_in(MFA, true).await;
    let status = async |token| server.call("GET", "/user-profile", Some(token)).await.status;
    assert_eq!(status(&new.access).await, 200);
    assert_eq!(status(&old.access).await, 401);
}

const OPAQUE: &str = "https://opaque.api.test";

#[tokio::test]
#[ignore = "needs oidc-provider, which tests/run installs; run tests/run"]
async fn an_opaque_token_is_introspected_and_its_revocation_takes_effect_after_the_cache_time() {
    let provider = OidcProvider::start().await;
    let cache_time = Duration::from_secs(5);
    let basic = || Introspection::client_secret_basic("test-api", "test-secret").cache(cache_time);
    for introspection in [basic(), basic().signed_responses()] {
        let issuer = issuer(&provider, OPAQUE).introspect(introspection);
        let step_up = StepUp::builder().issuer(issuer).build().await.expect("built");
        let server = Server::start(app(step_up)).await;
        let approve =
            async |token: &str| server.call("POST", "/approve-transaction", Some(token)).await;
        let browser = Browser::new(&provider);
        let ask =
            AuthorizationRequest { resource: Some(OPAQUE), ..AuthorizationRequest::default() };
        let (weak, _) = browser.log_in(ask, false).await;
        assert!(!weak.access.contains('.'), "an opaque token");
        let refused = approve(&weak.access).await;
        assert_eq!(refused.parameter("acr_values").as_deref(), Some("urn:test:acr:mfa"));

        let ask = AuthorizationRequest { acr_values: Some("urn:test:acr:mfa"), ..ask };
        let (strong, _) = browser.log_in(ask, true).await;
        let approved = approve(&strong.access).await;
        assert_eq!(approved.body, "approved by alice with pwd+otp+mfa", "{approved:?}");
        browser.revoke(&strong.access).await;
        assert_eq!(approve(&strong.access).await.status, 200, "within the cache time");
        tokio::time::sleep(cache_time).await;
        let revoked = approve(&strong.access).await;
        assert_eq!(revoked.parameter("error").as_deref(), Some("invalid_token"));

        // The provider also introspects tokens that are not access tokens for this API.
        let refresh = weak.refresh.expect("a refresh token");
        for other in [weak.id.as_str(), &refresh, "never-issued"] {
            let profile = server.call("GET", "/user-profile", Some(other)).await;
            assert_eq!(profile.status, 401, "{other}");
        }
    }
}

#[tokio::test]
#[ignore = "needs oidc-provider, which tests/run installs; run tests/run"]
async fn a_token_that_the_provider_bound_requires_a_proof_with_its_key() {
    let provider = OidcProvider::start().await;
    let builder = StepUp::builder().issuer(issuer(&provider, AUDIENCE).dpop_required());
    let step_up = builder.resource(AUDIENCE).build().await.expect("built");
    let server = Server::start(app(step_up)).await;
    let holder = TestHolder::new(TestAlgorithm::Es256).expect("a key");
    let thief = TestHolder::new(TestAlgorithm::Es256).expect("a key");
    let browser = Browser::new(&provider);
    let (tokens, _) =
        browser.log_in(AuthorizationRequest { holder: Some(&holder), ..MFA }, true).await;
    let url = format!("{AUDIENCE}/approve-transaction");
    let send = async |scheme: &str, proof: Option<String>| {
        let request = reqwest::Client::new()
            .post(server.url("/approve-transaction"))
            .header("authorization", format!("{scheme} {}", tokens.access));
        Answer::of(match proof {
            Some(proof) => request.header("dpop", proof),
            None => request,
        })
        .await
    };
    let proof = |holder: &TestHolder| Some(holder.proof("POST", &url, &tokens.access).sign());
    assert_eq!(send("DPoP", proof(&holder)).await.body, "approved by alice with pwd+otp+mfa");
    assert_eq!(send("DPoP", proof(&thief)).await.status, 401, "a thief's own proof");
    assert_eq!(send("DPoP", None).await.status, 401);
    assert_eq!(send("Bearer", proof(&holder)).await.status, 401);
    let used = proof(&holder);
    assert_eq!(send("DPoP", used.clone()).await.status, 200);
    assert_eq!(send("DPoP", used).await.status, 401, "the same proof again");

    let (unbound, _) = Browser::new(&provider).log_in(MFA, true).await;
    let answer = server.call("GET", "/user-profile", Some(&unbound.access)).await;
    assert_eq!(answer.status, 401, "this issuer requires DPoP");
}

#[tokio::test]
#[ignore = "needs oidc-provider, which tests/run installs; run tests/run"]
async fn the_documented_client_handles_refusals_and_stops_if_the_provider_cannot_step_up() {
    let provider = OidcProvider::start().await;
    let (api, _) = api(&provider).await;
    let browser = Browser::new(&provider);
    let (weak, _) = browser.log_in(AuthorizationRequest::default(), false).await;
    let refused = api.call("POST", "/approve-transaction", Some(&weak.access)).await;
    let request = reqwest::Client::new()
        .post(api.url("/approve-transaction"))
        .bearer_auth(&weak.access)
        .header("step-up-attempt", "1");
    let again = Answer::of(request).await;

    // The provider does not support this acr value (RFC 9470 §5).
    let ask = AuthorizationRequest {
        acr_values: Some("urn:test:acr:hardware"),
        ..AuthorizationRequest::default()
    };
    let callback = browser.try_log_in(ask, true).await.expect_err("not supported");
    assert!(callback.contains("error=unmet_authentication_requirements"), "{callback}");

    let output = tokio::process::Command::new("node")
        .args(["--test", "tests/docs/docs.test.mjs"])
        .current_dir(workspace())
        .env("REFUSAL", &refused.body)
        .env("AGAIN", &again.body)
        .env("CALLBACK", &callback)
        .output()
        .await
        .expect("node runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("the client understands a real API and a real provider"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs oidc-provider, which tests/run installs; run tests/run"]
async fn a_logout_at_the_provider_ends_the_session_here() {
    // The provider must know the address before it starts, and the API needs the provider.
    let api = Arc::new(OnceLock::<StepUp>::new());
    let receive = {
        let api = Arc::clone(&api);
        async move |body: axum::body::Bytes| {
            let step_up = api.get().expect("it is set before the logout");
            step_up.receive_logout(&body).await.map(axum::body::Body::from)
        }
    };
    let signals = Router::new().route("/signals/logout", axum::routing::post(receive));
    let signals = Server::start(signals).await;
    let provider = OidcProvider::start_with(&signals.url("/signals/logout")).await;
    let builder = StepUp::builder().issuer(issuer(&provider, AUDIENCE));
    let builder = builder.sessions(Sessions::memory()).logout_audience("bank-app");
    let step_up = builder.build().await.expect("built");
    let routes = routes![profile, approve];
    let server = Server::start(routes.with_state(step_up.clone())).await;
    assert!(api.set(step_up).is_ok());

    let (one, two) = (Browser::new(&provider), Browser::new(&provider));
    let (tokens, _) = one.log_in(MFA, true).await;
    let (others, _) = two.log_in(MFA, true).await;
    let calls = async |token: &str| {
        let profile = server.call("GET", "/user-profile", Some(token)).await.status;
        (profile, server.call("POST", "/approve-transaction", Some(token)).await.status)
    };
    assert_eq!(
        (calls(&tokens.access).await, calls(&others.access).await),
        ((200, 200), (200, 200))
    );
    one.log_out(&tokens.id).await;
    assert_eq!(calls(&tokens.access).await, (401, 401));
    let answer = server.call("GET", "/user-profile", Some(&tokens.access)).await;
    assert_eq!(answer.json()["detail"], "the session has ended; log in again");
    assert_eq!(calls(&others.access).await, (200, 200), "another session of the same user");
    let (again, _) = one.log_in(MFA, true).await;
    assert_eq!(calls(&again.access).await, (200, 200), "a new session");
}
