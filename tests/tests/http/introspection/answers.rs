//! Introspection requests to the issuer, and the effects of its responses.

use super::{app, get, serve};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::time::Duration;
use stepup_runtime::testing::{AUDIENCE, TestClock, TestIssuer};
use stepup_runtime::{BuildError, Introspection, Issuer, StepUp};
use stepup_tests::introspecting_issuer::{IntrospectingIssuer, basic};
use stepup_tests::paused_time::PausedTime;
use stepup_tests::server::Server;

#[tokio::test]
async fn an_opaque_token_has_the_claims_that_its_issuer_returns() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let server = serve(idp.issuer().introspect(idp.introspection())).await;
    let strong = idp.token().claim("amr", json!(["pwd", "mfa"])).claim("scope", "pay");
    let strong = idp.opaque(strong);
    assert_eq!(get(&server, &strong).await.body, "alice");
    assert_eq!(server.call("POST", "/approve", Some(&strong)).await.body, "approved");

    let weak = idp.opaque(idp.token().claim("amr", json!(["pwd"])).claim("scope", "pay"));
    let answer = server.call("POST", "/approve", Some(&weak)).await;
    assert_eq!(answer.parameter("acr_values").as_deref(), Some("mfa"));
    assert_eq!(answer.parameter("max_age").as_deref(), Some("300"));

    // A JWT of the same issuer is still verified locally.
    let before = idp.introspections();
    assert_eq!(get(&server, &idp.mfa_token()).await.status, 200);
    assert_eq!(idp.introspections(), before);
}

#[tokio::test]
async fn only_an_active_access_token_for_this_api_is_accepted() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let server = serve(idp.issuer().introspect(idp.introspection())).await;
    let token = || idp.token();
    for (what, token) in [
        ("not active", token().claim("active", false)),
        ("active as a string", token().claim("active", "true")),
        ("active as a number", token().claim("active", 1)),
        ("another issuer", token().claim("iss", "https://other.example")),
        ("another audience", token().claim("aud", "https://other.example")),
        ("no audience", token().without("aud")),
        ("no subject", token().without("sub")),
        ("expired", token().claim("exp", 1_700_000_000)),
        ("an invalid expiry", token().claim("exp", "never")),
        ("not valid yet", token().claim("nbf", 4_000_000_000_u64)),
        ("a refresh token, by token_type", token().claim("token_type", "refresh_token")),
        ("Keycloak's refresh token", token().claim("typ", "Refresh")),
        ("Cognito's ID token", token().claim("token_use", "id")),
        ("bound to a key, without a proof", token().claim("cnf", json!({"jkt": "x"}))),
        ("a DPoP token without a key", token().claim("token_type", "DPoP")),
        ("Keycloak's DPoP token without a key", token().claim("typ", "DPoP")),
    ] {
        let answer = get(&server, &idp.opaque(token)).await;
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        assert_eq!(answer.parameter("error").as_deref(), Some("invalid_token"), "{what}");
    }
    assert_eq!(get(&server, "never-issued").await.status, 401);
    assert_eq!(get(&server, &idp.opaque(token().without("exp"))).await.status, 200);
    assert_eq!(get(&server, &idp.opaque(token().without("iss"))).await.status, 200);
    let bearer = token().claim("token_type", "bearer");
    assert_eq!(get(&server, &idp.opaque(bearer)).await.status, 200);
}

#[tokio::test]
async fn a_response_is_cached_for_the_configured_time_and_a_revocation_takes_effect_afterwards() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let (time, cache_time) = (PausedTime::start(), Duration::from_secs(60));
    let server = serve(idp.issuer().introspect(idp.introspection().cache(cache_time))).await;
    let token = idp.opaque(idp.token());
    for _ in 0..5 {
        assert_eq!(get(&server, &token).await.status, 200);
    }
    assert_eq!(idp.introspections(), 1);
    idp.revoke(&token);
    assert_eq!(get(&server, &token).await.status, 200, "not noticed yet");
    time.advance(cache_time).await;
    for _ in 0..5 {
        assert_eq!(get(&server, &token).await.status, 401);
    }
    assert_eq!(idp.introspections(), 2, "a refusal is cached as well");
    for token in [idp.token().claim("aud", "https://other.example"), idp.token().without("sub")] {
        let (token, before) = (idp.opaque(token), idp.introspections());
        for _ in 0..5 {
            assert_eq!(get(&server, &token).await.status, 401);
        }
        assert_eq!(idp.introspections() - before, 1, "for any reason of the refusal");
    }

    let server = serve(idp.issuer().introspect(idp.introspection().cache(Duration::ZERO))).await;
    let (token, before) = (idp.opaque(idp.token()), idp.introspections());
    for _ in 0..3 {
        assert_eq!(get(&server, &token).await.status, 200);
    }
    assert_eq!(idp.introspections() - before, 3);
    idp.revoke(&token);
    assert_eq!(get(&server, &token).await.status, 401, "at once without a cache");
}

#[tokio::test]
async fn a_response_is_cached_until_the_token_expires_and_only_for_the_identical_token() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let clock = TestClock::system();
    let issuer = idp.issuer().introspect(idp.introspection().cache(Duration::from_secs(3600)));
    let builder = StepUp::builder().issuer(issuer).clock(clock.clone());
    let server = Server::start(app(builder.build().await.expect("built"))).await;
    let token = idp.opaque(idp.token());
    assert_eq!(get(&server, &token).await.status, 200);
    clock.advance(3700);
    assert_eq!(get(&server, &token).await.status, 401);
    assert_eq!(idp.introspections(), 1);

    // Tokens that differ only before the last dot are different tokens.
    let clock_back = TestClock::system();
    let issuer = idp.issuer().introspect(idp.introspection());
    let builder = StepUp::builder().issuer(issuer).clock(clock_back);
    let server = Server::start(app(builder.build().await.expect("built"))).await;
    idp.set_introspection("secret.one", json!({"sub": "alice", "aud": AUDIENCE}));
    assert_eq!(get(&server, "secret.one").await.body, "alice");
    assert_eq!(get(&server, "other.one").await.status, 401);
}

#[tokio::test]
async fn jwts_too_refuses_revoked_jwts_that_are_otherwise_valid() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let (time, cache_time) = (PausedTime::start(), Duration::from_secs(60));
    let introspection = idp.introspection().jwts_too().cache(cache_time);
    let server = serve(idp.issuer().introspect(introspection)).await;
    let jwt = idp.mfa_token();
    assert_eq!(get(&server, &jwt).await.status, 401, "the issuer does not know the token");
    time.advance(cache_time).await;
    idp.set_introspection(&jwt, json!({"token_type": "Bearer", "sub": "alice"}));
    assert_eq!(get(&server, &jwt).await.status, 200);
    idp.revoke(&jwt);
    assert_eq!(get(&server, &jwt).await.status, 200, "within the cache time");
    time.advance(cache_time).await;
    assert_eq!(get(&server, &jwt).await.status, 401);

    // A positive response does not make an invalid JWT valid.
    let before = idp.introspections();
    let stranger = TestIssuer::start().await.expect("an issuer");
    for (what, token) in [
        ("an ID token", idp.token().header("typ", "JWT").mint()),
        ("expired", idp.token().claim("exp", 1_700_000_000).mint()),
        ("another audience", idp.token().claim("aud", "https://other.example").mint()),
        ("signed by another issuer", stranger.token().claim("iss", idp.url()).mint()),
    ] {
        idp.set_introspection(
            &token,
            json!({"token_type": "Bearer", "aud": AUDIENCE, "sub": "alice"}),
        );
        assert_eq!(get(&server, &token).await.status, 401, "{what}");
    }
    assert_eq!(idp.introspections(), before, "invalid JWTs are not introspected");

    // A minimal response is sufficient.
    let least = idp.token().claim("jti", "least").mint();
    idp.set_introspection(&least, json!({"client_id": "test-client"}));
    assert_eq!(get(&server, &least).await.status, 200);

    // The response must not contradict the JWT's subject, key binding, permissions or authentication.
    let bound = idp.token().claim("cnf", json!({"jkt": "x"})).mint();
    idp.set_introspection(&bound, json!({"token_type": "Bearer", "sub": "alice"}));
    let answer = get(&server, &bound).await;
    assert_eq!(answer.status, 401, "a binding that the response omits still applies");
    let other = idp.token().claim("jti", "2").mint();
    for response in [
        json!({"sub": "eve"}),
        json!({"sub": "alice", "cnf": {"jkt": "x"}}),
        json!({"sub": "alice", "scope": "less"}),
        json!({"sub": "alice", "acr": "lower"}),
        json!({"sub": "alice", "amr": ["pwd"]}),
        json!({"sub": "alice", "auth_time": 1}),
        json!({"sub": "alice", "aud": "https://other.example"}),
        json!({"sub": "alice", "exp": 1_700_000_000}),
        json!({"sub": "alice", "nbf": 4_000_000_000_u64}),
        json!({"sub": "alice", "exp": "never"}),
    ] {
        let mut response = response;
        response["token_type"] = "Bearer".into();
        idp.set_introspection(&other, response.clone());
        time.advance(cache_time).await;
        assert_eq!(get(&server, &other).await.status, 401, "{response}");
    }
    time.advance(cache_time).await;
    idp.set_introspection(&other, json!({"token_type": "DPoP", "sub": "alice"}));
    assert_eq!(get(&server, &other).await.status, 401, "bound, but to an unknown key");
    time.advance(cache_time).await;
    idp.set_introspection(
        &other,
        json!({"sub": "alice", "aud": ["x", AUDIENCE], "exp": 4_000_000_000_u64}),
    );
    assert_eq!(get(&server, &other).await.status, 200);
}

/// Some issuers ignore an extra dot and return the user's current claims. A stolen token would then benefit from a
/// later, stronger login of its user.
#[tokio::test]
async fn a_jwt_with_extra_or_missing_parts_is_not_introspected() {
    let fake = IntrospectingIssuer::start().await;
    let mut strong = fake.active();
    strong["amr"] = json!(["mfa"]);
    strong["scope"] = "pay".into();
    // The token lasts ten minutes, and its user has just logged in.
    strong["auth_time"] = json!(strong["exp"].as_u64().expect("an expiry") - 600);
    fake.respond_with(&strong);
    let weak = fake.idp.token().claim("iss", fake.http.url.as_str()).claim("amr", json!(["pwd"]));
    let weak = weak.mint();
    let (header, rest) = weak.split_once('.').expect("a JWT");
    let payload = rest.split('.').next().expect("a payload");
    for introspection in [basic(), basic().jwts_too()] {
        let server = serve(fake.issuer(introspection)).await;
        for token in [
            format!("{weak}."),
            format!("{weak}.."),
            format!(".{weak}"),
            format!("..{weak}"),
            format!("{weak}.x"),
            format!("{weak}.x.y"),
            format!("{header}.{payload}"),
        ] {
            assert_eq!(server.call("POST", "/approve", Some(&token)).await.status, 401, "{token}");
        }
        assert_eq!(fake.requests().len(), 0);
    }
    // A token that only its issuer can read is opaque, whatever its format.
    let encrypted = URL_SAFE_NO_PAD.encode(r#"{"alg":"dir","enc":"A256GCM"}"#);
    let server = serve(fake.issuer(basic())).await;
    for token in [&*format!("{encrypted}..a.b.c"), "v4.public.a", "e30.a", "a.b.c.d"] {
        assert_eq!(server.call("POST", "/approve", Some(token)).await.body, "approved", "{token}");
    }
}

/// The provider in the OIDC tests returns the same response for a refresh token as for an access
/// token: without `token_type` and without `aud`.
#[tokio::test]
async fn a_response_without_an_audience_must_identify_an_access_token() {
    let fake = IntrospectingIssuer::start().await;
    let claims = json!({"active": true, "sub": "alice", "client_id": "c", "scope": "pay"});
    for (mark, expected) in [
        (json!({}), 401),
        (json!({"token_type": "Bearer"}), 200),
        (json!({"typ": "Bearer"}), 200),
        (json!({"token_use": "access_token"}), 200),
        (json!({"token_type": "refresh_token"}), 401),
        (json!({"token_type": "Bearer", "typ": "Refresh"}), 401),
        (json!({"token_type": 1}), 401),
        (json!({"aud": AUDIENCE}), 200),
    ] {
        let mut claims = claims.clone();
        claims.as_object_mut().expect("an object").extend(mark.as_object().cloned().expect("one"));
        fake.respond_with(&claims);
        let server = serve(fake.issuer(basic().audience_optional())).await;
        assert_eq!(get(&server, "a-token").await.status, expected, "{mark}");
    }
}

/// Decodes the form in the body of a request.
fn form(body: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

#[tokio::test]
async fn the_api_authenticates_to_the_issuer_with_each_of_three_methods() {
    let fake = IntrospectingIssuer::start().await;
    let field = |body: &str, name: &str| {
        form(body).into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
    };
    let server = serve(fake.issuer(Introspection::client_secret_basic("api:1", "se cret%"))).await;
    assert_eq!(get(&server, "a-token").await.status, 200);
    let request = fake.requests().pop().expect("a request");
    let expected = format!("Basic {}", STANDARD.encode("api%3A1:se+cret%25"));
    assert_eq!(request.headers["authorization"], expected, "form-encoded first (RFC 6749 §2.3.1)");
    assert_eq!(field(&request.body, "token").as_deref(), Some("a-token"));
    assert_eq!(field(&request.body, "token_type_hint").as_deref(), Some("access_token"));
    assert_eq!(field(&request.body, "client_secret"), None);

    let server = serve(fake.issuer(Introspection::client_secret_post("api", "se cret"))).await;
    assert_eq!(get(&server, "a-token").await.status, 200);
    let request = fake.requests().pop().expect("a request");
    assert_eq!(request.headers.get("authorization"), None);
    assert_eq!(field(&request.body, "client_id").as_deref(), Some("api"));
    assert_eq!(field(&request.body, "client_secret").as_deref(), Some("se cret"));

    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let der = pair.to_pkcs8v1().expect("PKCS #8");
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(der.as_ref())
    );
    let server = serve(fake.issuer(Introspection::private_key_jwt("api", Some("k1"), pem))).await;
    assert_eq!(get(&server, "a-token").await.status, 200);
    let request = fake.requests().pop().expect("a request");
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    assert_eq!(field(&request.body, "client_assertion_type").as_deref(), Some(kind));
    let assertion = field(&request.body, "client_assertion").expect("an assertion");
    // An independent JWT library verifies the assertion.
    let key = jsonwebtoken::DecodingKey::from_ec_der(pair.public_key().as_ref());
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    validation.set_audience(&[&fake.http.url]);
    validation.set_issuer(&["api"]);
    validation.set_required_spec_claims(&["exp", "iss", "sub", "aud"]);
    let read = jsonwebtoken::decode::<Value>(&assertion, &key, &validation).expect("valid");
    assert_eq!(read.header.kid.as_deref(), Some("k1"));
    assert_eq!(read.claims["sub"], "api");
    assert!(read.claims["jti"].as_str().is_some_and(|jti| jti.len() >= 16));
}

#[tokio::test]
async fn a_response_without_an_audience_is_accepted_only_if_configured() {
    let fake = IntrospectingIssuer::start().await;
    let mut answer = fake.active();
    answer.as_object_mut().expect("an object").remove("aud");
    answer["token_type"] = "Bearer".into();
    fake.respond_with(&answer);
    assert_eq!(get(&serve(fake.issuer(basic())).await, "a-token").await.status, 401);
    assert_eq!(
        get(&serve(fake.issuer(basic().audience_optional())).await, "a-token").await.status,
        200
    );
    answer["aud"] = "https://other.example".into();
    fake.respond_with(&answer);
    assert_eq!(
        get(&serve(fake.issuer(basic().audience_optional())).await, "a-token").await.status,
        401
    );
}

#[tokio::test]
async fn configuration_mistakes_are_reported_at_startup() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let build = |issuer: Issuer| async { StepUp::builder().issuer(issuer).build().await };
    let error = |built: Result<StepUp, BuildError>| format!("{:?}", built.expect_err("wrong"));
    let key = Introspection::private_key_jwt("api", None, "not a key");
    let text = error(build(idp.issuer().introspect(key)).await);
    assert!(text.contains("PKCS #8 PEM"), "{text}");
    let plain = idp.introspection().endpoint("http://idp.example/introspect");
    let text = error(build(idp.issuer().introspect(plain)).await);
    assert!(text.contains("not https"), "{text}");
    let no_endpoint = idp.issuer().jwks(idp.jwks()).introspect(idp.introspection());
    let text = error(build(no_endpoint).await);
    assert!(text.contains("Introspection::endpoint"), "{text}");
    let other = TestIssuer::start().await.expect("an issuer");
    let two = StepUp::builder()
        .issuer(idp.issuer().introspect(idp.introspection()))
        .issuer(other.issuer().introspect(other.introspection()));
    let text = error(two.build().await);
    assert!(text.contains("both introspect"), "{text}");
}

#[tokio::test]
async fn null_members_count_as_absent_and_a_missing_subject_has_its_own_reason() {
    let fake = IntrospectingIssuer::start().await;
    let server = serve(fake.issuer(basic())).await;
    let mut active = fake.active();
    for name in ["cnf", "iss", "scope", "token_type", "nbf", "amr", "acr", "username"] {
        active[name] = serde_json::Value::Null;
    }
    fake.respond_with(&active);
    let answer = get(&server, "with-null-members").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "alice"));
    active["sub"] = serde_json::Value::Null;
    fake.respond_with(&active);
    let answer = get(&server, "without-a-subject").await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json()["detail"], "the introspection response names no subject");
}

#[tokio::test]
async fn a_response_with_other_scopes_in_the_configured_claim_contradicts_the_jwt() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let issuer = idp.issuer().introspect(idp.introspection().jwts_too());
    let server = serve(issuer.adjust(|profile| profile.scopes_claim("permissions"))).await;
    for (permissions, status) in [(json!(["pay"]), 200), (json!([]), 401)] {
        let jwt = idp.token().claim("permissions", json!(["pay"])).claim("jti", status).mint();
        let response = json!({"token_type": "Bearer", "sub": "alice", "permissions": permissions});
        idp.set_introspection(&jwt, response);
        assert_eq!(get(&server, &jwt).await.status, status, "{permissions}");
    }
}
