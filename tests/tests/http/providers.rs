//! Access tokens in the format of each identity provider, checked with the provider's profile: which
//! are accepted, and the exact challenge for the others.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use serde_json::{Value, json};
use stepup_runtime::testing::{TestAlgorithm, TestClock, TestIssuer};
use stepup_runtime::{Contract, Endpoint, Issuer, Method, Principal, Refusal, StepUp};

const NOW: u64 = 1_800_000_000;

/// An API that trusts one issuer, and a test issuer that signs tokens in its name.
struct Api {
    idp: TestIssuer,
    step_up: StepUp,
}

impl Api {
    async fn of(issuer: Issuer) -> Self {
        let idp = TestIssuer::start_with(TestAlgorithm::Rs256).await.expect("an issuer");
        let builder = StepUp::builder().issuer(issuer.jwks(idp.jwks())).clock(TestClock::at(NOW));
        let step_up = builder.build().await.expect("built");
        Self { idp, step_up }
    }

    /// Calls an endpoint with a token that has this `typ` and these claims.
    async fn call(
        &self,
        security: Value,
        typ: Option<&str>,
        claims: &Value,
    ) -> Result<Principal, Refusal> {
        let token = self.idp.token().header("typ", typ.map_or(Value::Null, Value::from));
        let token = token.mint_payload(claims.to_string().as_bytes());
        let request = Request::get("/").header("authorization", format!("Bearer {token}"));
        let (head, ()) = request.body(()).expect("a request").into_parts();
        let caller = self.step_up.enforce(&endpoint(security), (&head).into()).await?;
        Ok(caller.expect("the endpoint is not public"))
    }
}

fn endpoint(security: Value) -> Endpoint {
    let text = json!({"path": "/", "security": security}).to_string();
    Contract::parse(text).expect("a contract").endpoints()[0].clone()
}

fn mfa() -> Value {
    json!({"step-up": true, "methods": ["mfa"], "max-age": 300})
}

fn standard() -> Value {
    json!({"step-up": false})
}

/// The claims with these changes; `null` removes a claim.
fn with(claims: &Value, changes: Value) -> Value {
    let mut claims = claims.clone();
    let map = claims.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => map.remove(name),
            value => map.insert(name.clone(), value.clone()),
        };
    }
    claims
}

#[track_caller]
fn assert_challenge(outcome: Result<Principal, Refusal>, expected: &str) {
    let refusal = outcome.expect_err("refused");
    assert_eq!(refusal.www_authenticate().as_deref(), Some(expected));
}

const STRONGER: &str = "Bearer error=\"insufficient_user_authentication\", \
     error_description=\"a stronger authentication is required\", ";
const FRESHER: &str = "Bearer error=\"insufficient_user_authentication\", \
     error_description=\"a more recent authentication is required\", ";
const BOTH: &str = "Bearer error=\"insufficient_user_authentication\", \
     error_description=\"a stronger and more recent authentication is required\", ";

#[tokio::test]
async fn auth0() {
    let audience = "https://api.bank.example";
    let api = Api::of(Issuer::auth0("bank.eu.auth0.com", audience)).await;
    // Without an Auth0 Action, an access token has no claims about the authentication.
    let bare = json!({
        "iss": "https://bank.eu.auth0.com/",
        "sub": "auth0|64b8f2a1c3d4e5f6a7b8c9d0",
        "aud": [audience, "https://bank.eu.auth0.com/userinfo"],
        "iat": NOW - 100, "exp": NOW + 86_300,
        "azp": "aBcDeFgHiJkLmNoPqRsTuVwXyZ012345",
        "scope": "openid profile payments:approve",
    });
    let ask = "acr_values=\"http://schemas.openid.net/pape/policies/2007/06/multi-factor\", \
               max_age=\"300\"";
    assert_challenge(api.call(mfa(), Some("JWT"), &bare).await, &format!("{BOTH}{ask}"));
    assert!(api.call(standard(), Some("JWT"), &bare).await.is_ok());

    let claims = with(
        &bare,
        json!({
            "https://api.bank.example/amr": ["pwd", "mfa"],
            "https://api.bank.example/auth_time": NOW - 100,
        }),
    );
    let user = api.call(mfa(), Some("at+jwt"), &claims).await.expect("allowed");
    assert_eq!(
        (user.amr(), user.auth_time()),
        (&["pwd".into(), "mfa".into()][..], Some(NOW - 100))
    );
    assert_eq!(user.client(), Some("aBcDeFgHiJkLmNoPqRsTuVwXyZ012345"));
    let weak = with(&claims, json!({"https://api.bank.example/amr": ["pwd"]}));
    assert_challenge(api.call(mfa(), Some("JWT"), &weak).await, &format!("{STRONGER}{ask}"));
    let old = with(&claims, json!({"https://api.bank.example/auth_time": NOW - 301}));
    assert_challenge(api.call(mfa(), Some("JWT"), &old).await, &format!("{FRESHER}{ask}"));
    // Claims without a namespace, or in another one, are ignored.
    let plain = with(&bare, json!({"amr": ["mfa"], "auth_time": NOW, "https://x/amr": ["mfa"]}));
    assert_challenge(api.call(mfa(), Some("JWT"), &plain).await, &format!("{BOTH}{ask}"));
    // The `acr` value that the challenge requests does not prove the method when a token contains it.
    let echo = with(
        &bare,
        json!({
            "https://api.bank.example/acr": "http://schemas.openid.net/pape/policies/2007/06/multi-factor",
            "https://api.bank.example/auth_time": NOW,
        }),
    );
    assert_challenge(api.call(mfa(), Some("JWT"), &echo).await, &format!("{STRONGER}{ask}"));

    let issuer = Issuer::auth0("bank.eu.auth0.com", audience).namespace("https://bank.example/");
    let api = Api::of(issuer).await;
    let claims = with(
        &bare,
        json!({
            "https://bank.example/amr": ["mfa"], "https://bank.example/auth_time": NOW,
        }),
    );
    assert!(api.call(mfa(), Some("JWT"), &claims).await.is_ok());
}

#[tokio::test]
async fn okta() {
    let api = Api::of(Issuer::okta("bank.okta.com", "default", "api://bank")).await;
    let claims = json!({
        "ver": 1, "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
        "iss": "https://bank.okta.com/oauth2/default", "aud": "api://bank",
        "iat": NOW - 100, "exp": NOW + 3500,
        "cid": "0oa1b2c3d4e5f6g7h8i9", "uid": "00u1a2b3c4d5e6f7g8h9",
        "scp": ["openid", "payments:approve"], "sub": "alice@bank.example",
        "auth_time": NOW - 100, "acr": "urn:okta:loa:2fa:any",
    });
    let user = api.call(mfa(), None, &claims).await.expect("allowed");
    assert_eq!(user.scopes(), ["openid", "payments:approve"]);
    assert_eq!(user.client(), Some("0oa1b2c3d4e5f6g7h8i9"));
    let ask = "acr_values=\"urn:okta:loa:2fa:any\", max_age=\"300\"";
    for acr in [
        json!("urn:okta:loa:1fa:any"),
        json!("urn:okta:loa:1fa:pwd"),
        json!("urn:okta:loa:2fa:any:ifpossible"),
        json!("phr"),
        json!("URN:OKTA:LOA:2FA:ANY"),
        json!(["urn:okta:loa:2fa:any"]),
        json!(null),
    ] {
        let weak = with(&claims, json!({"acr": acr}));
        assert_challenge(api.call(mfa(), Some("JWT"), &weak).await, &format!("{STRONGER}{ask}"));
    }
    // Okta Verify's push notification is `swk`, which is not phishing resistant.
    let phishing = || json!({"step-up": true, "methods": ["phishing_resistant"]});
    let push = with(&claims, json!({"amr": ["swk", "okta_verify", "mfa", "pwd"]}));
    assert_challenge(
        api.call(phishing(), Some("JWT"), &push).await,
        &format!("{STRONGER}acr_values=\"phr phrh\""),
    );
    for acr in ["phr", "phrh"] {
        let strong = with(&claims, json!({"acr": acr}));
        assert!(api.call(phishing(), Some("JWT"), &strong).await.is_ok(), "{acr}");
    }
    let hardware = json!({"step-up": true, "methods": ["phishing_resistant", "hwk"]});
    assert_challenge(
        api.call(hardware, Some("JWT"), &with(&claims, json!({"acr": "phr"}))).await,
        &format!("{STRONGER}acr_values=\"phrh\""),
    );
    // Tokens of Okta's org authorization server have another issuer and are not for APIs.
    let org = with(&claims, json!({"iss": "https://bank.okta.com"}));
    assert_eq!(api.call(standard(), None, &org).await.expect_err("refused").status(), 401);
}

#[tokio::test]
async fn entra() {
    let tenant = "72f988bf-86f1-41af-91ab-2d7cd011db47";
    let audience = "6e74172b-be56-4843-9ff4-e66a39bb12e3";
    let issuer = Issuer::entra(tenant, audience).ask(Method::Mfa, ["c1"]);
    let api = Api::of(issuer.proves("c1", [Method::Mfa])).await;
    let claims = json!({
        "aud": audience, "iss": format!("https://login.microsoftonline.com/{tenant}/v2.0"),
        "iat": NOW - 100, "nbf": NOW - 100, "exp": NOW + 3600,
        "acrs": ["p1", "c1"], "aio": "AXQAi/8IAAAA", "azp": "00000000-aaaa", "azpacr": "0",
        "name": "Alice", "oid": "690222be-ff1a-4d56", "rh": "0.ATwA",
        "scp": "Payments.Approve", "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
        "tid": tenant, "uti": "fqiBqXLPj0eQa82S-IYFAA", "ver": "2.0",
        "auth_time": NOW - 100, "xms_cc": ["cp1"],
    });
    let user = api.call(mfa(), Some("JWT"), &claims).await.expect("allowed");
    assert_eq!((user.acr(), user.acr_values()), (Some("p1"), &["p1".into(), "c1".into()][..]));
    let request = r#"{"access_token":{"acrs":{"essential":true,"value":"c1"}}}"#;
    let entra = format!(
        "Bearer realm=\"\", \
         authorization_uri=\"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize\", \
         error=\"insufficient_claims\", claims=\"{}\", max_age=\"300\"",
        STANDARD.encode(request)
    );
    let weak = with(&claims, json!({"acrs": ["p1"]}));
    let refusal = api.call(mfa(), Some("JWT"), &weak).await.expect_err("too weak");
    assert_eq!(refusal.www_authenticate(), Some(entra));
    let body: Value = serde_json::from_str(&refusal.problem()).expect("JSON");
    assert_eq!((&body["claims"], &body["error"]), (&json!(request), &json!("insufficient_claims")));
    assert_eq!((&body["acr_values"], &body["max_age"]), (&json!("c1"), &json!(300)));
    // A client that does not declare support for claims challenges receives the standard challenge.
    let ask = format!("{STRONGER}acr_values=\"c1\", max_age=\"300\"");
    for cc in [json!(null), json!([]), json!(["cp2"]), json!("cp10")] {
        let plain = with(&weak, json!({"xms_cc": cc}));
        assert_challenge(api.call(mfa(), Some("JWT"), &plain).await, &ask);
    }
    // An `acr` next to `acrs`, or `acrs` as a string, is ignored.
    let invalid = with(&weak, json!({"acrs": "c1", "acr": "c1", "xms_cc": null}));
    assert_challenge(api.call(mfa(), Some("JWT"), &invalid).await, &ask);
    // An ID token from the same app registration, for a user with app roles.
    let id_token = with(
        &claims,
        json!({
            "scp": null, "azp": null, "azpacr": null, "roles": ["Payments.Approve"],
        }),
    );
    assert_eq!(api.call(standard(), Some("JWT"), &id_token).await.expect_err("no").status(), 401);
    // Version 1.0 tokens have a different issuer.
    let v1 = with(&claims, json!({"iss": format!("https://sts.windows.net/{tenant}/")}));
    assert_eq!(api.call(mfa(), Some("JWT"), &v1).await.expect_err("refused").status(), 401);
}

#[tokio::test]
async fn keycloak() {
    let issuer = Issuer::keycloak("https://sso.bank.example", "bank", "bank-api")
        .ask(Method::Mfa, ["gold"])
        .proves("gold", [Method::Mfa])
        .adjust(|profile| profile.acr_order(["bronze", "silver", "gold"]));
    let api = Api::of(issuer).await;
    let claims = json!({
        "exp": NOW + 300, "iat": NOW - 10, "auth_time": NOW - 10,
        "jti": "onrtac:5d1f3f64-1a40-4d7c-8f35-7d6d9f1a2b3c",
        "iss": "https://sso.bank.example/realms/bank", "aud": ["bank-api", "account"],
        "sub": "f:8c9d0e1f:alice", "typ": "Bearer", "azp": "bank-web",
        "sid": "b9a0c1d2-e3f4", "acr": "gold", "allowed-origins": ["https://bank.example"],
        "realm_access": {"roles": ["offline_access", "uma_authorization"]},
        "resource_access": {"account": {"roles": ["manage-account"]}},
        "scope": "openid profile email", "email_verified": true, "preferred_username": "alice",
    });
    assert!(api.call(mfa(), Some("JWT"), &claims).await.is_ok());
    let ask = "acr_values=\"gold\", max_age=\"300\"";
    // Keycloak sends "0" for an expired level; a level must be a string.
    for acr in [json!("0"), json!("1"), json!("silver"), json!(2), json!(""), json!(null)] {
        let weak = with(&claims, json!({"acr": acr}));
        assert_challenge(api.call(mfa(), Some("JWT"), &weak).await, &format!("{STRONGER}{ask}"));
    }
    // In the declared order, gold ranks above silver, and bronze below it.
    let silver = || json!({"step-up": true, "acr": ["silver"]});
    assert!(api.call(silver(), Some("JWT"), &claims).await.is_ok());
    let bronze = with(&claims, json!({"acr": "bronze"}));
    assert_challenge(
        api.call(silver(), Some("JWT"), &bronze).await,
        &format!("{STRONGER}acr_values=\"silver\""),
    );
    for other in [
        json!({"typ": "ID"}),
        json!({"typ": "Refresh"}),
        json!({"typ": "Offline"}),
        json!({"typ": "Logout"}),
        json!({"aud": "account"}),
    ] {
        let token = with(&claims, other.clone());
        let refusal = api.call(standard(), Some("JWT"), &token).await.expect_err("refused");
        assert_eq!(refusal.status(), 401, "{other}");
    }
}

#[tokio::test]
async fn cognito() {
    let issuer = Issuer::cognito("eu-central-1", "eu-central-1_AbCdEfGhI", "1example23456789");
    let issuer = issuer.ask(Method::Mfa, ["urn:cognito:loa:2"]);
    let api = Api::of(issuer.proves("urn:cognito:loa:2", [Method::Mfa])).await;
    let claims = json!({
        "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "device_key": "aaaa", "origin_jti": "x",
        "iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI",
        "version": 2, "client_id": "1example23456789", "event_id": "e", "token_use": "access",
        "scope": "openid payments/approve", "auth_time": NOW - 100, "exp": NOW + 3500,
        "iat": NOW - 100, "jti": "j", "username": "alice", "acr": "urn:cognito:loa:2",
    });
    assert!(api.call(mfa(), None, &claims).await.is_ok());
    let ask = "acr_values=\"urn:cognito:loa:2\", max_age=\"300\"";
    let weak = with(&claims, json!({"acr": "urn:cognito:loa:1"}));
    assert_challenge(api.call(mfa(), None, &weak).await, &format!("{STRONGER}{ask}"));
    for other in [
        json!({"token_use": "id", "aud": "1example23456789"}),
        json!({"client_id": "another"}),
        json!({"client_id": null, "aud": "1example23456789"}),
    ] {
        let refusal = api.call(standard(), None, &with(&claims, other.clone())).await;
        assert_eq!(refusal.expect_err("refused").status(), 401, "{other}");
    }
}

#[tokio::test]
async fn ping_one() {
    let environment = "a1b2c3d4-e5f6";
    let issuer = Issuer::ping_one("auth.pingone.eu", environment, "https://api.bank.example")
        .ask(Method::Mfa, ["Multi_Factor"])
        .proves("Multi_Factor", [Method::Mfa]);
    let api = Api::of(issuer).await;
    let claims = json!({
        "client_id": "c", "iss": format!("https://auth.pingone.eu/{environment}/as"), "jti": "j",
        "iat": NOW - 10, "exp": NOW + 3590, "aud": ["https://api.bank.example"],
        "scope": "payments", "sub": "s", "sid": "x", "org": "o", "env": environment,
        "acr": "Multi_Factor", "auth_time": NOW - 10,
    });
    for typ in [None, Some("JWT"), Some("at+jwt"), Some("application/at+jwt")] {
        assert!(api.call(mfa(), typ, &claims).await.is_ok(), "{typ:?}");
    }
    assert_challenge(
        api.call(mfa(), None, &with(&claims, json!({"acr": "Single_Factor"}))).await,
        &format!("{STRONGER}acr_values=\"Multi_Factor\", max_age=\"300\""),
    );
}

#[tokio::test]
async fn claims_are_read_from_the_paths_that_the_operator_configures() {
    let issuer = Issuer::new("https://login.bank.example", "api").adjust(|profile| {
        profile
            .amr_claim(["ext", "session", "amr"])
            .auth_time_claim(["ext", "session", "auth_time"])
            .amr_proves(["fido", "user"], [Method::PhishingResistant])
    });
    let api = Api::of(issuer).await;
    let claims = |session: Value| {
        json!({
            "iss": "https://login.bank.example", "aud": "api", "sub": "a", "client_id": "c",
            "exp": NOW + 60, "iat": NOW, "ext": {"session": session},
            "amr": ["mfa"], "auth_time": NOW,
        })
    };
    let strong = claims(json!({"amr": ["mfa"], "auth_time": NOW}));
    assert!(api.call(mfa(), Some("at+jwt"), &strong).await.is_ok());
    for session in [json!({}), json!([]), json!({"amr": "mfa", "auth_time": NOW}), json!(null)] {
        let outcome = api.call(mfa(), Some("at+jwt"), &claims(session.clone())).await;
        assert_eq!(outcome.expect_err("too weak").status(), 401, "{session}");
    }
    let phishing = || json!({"step-up": true, "methods": ["phishing_resistant"]});
    for (amr, allowed) in [
        (json!(["fido", "user"]), true),
        (json!(["fido"]), false),
        (json!(["user", "mfa", "hwk"]), false),
        (json!(["phishing_resistant"]), false),
    ] {
        let outcome = api.call(phishing(), Some("at+jwt"), &claims(json!({"amr": amr}))).await;
        assert_eq!(outcome.is_ok(), allowed, "{amr}");
    }
}
