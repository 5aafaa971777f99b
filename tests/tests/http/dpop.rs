//! DPoP at the API (RFC 9449): valid and invalid proofs, bound tokens without a proof, and endpoints and
//! issuers that require DPoP.

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use stepup_runtime::testing::{TestAlgorithm, TestHolder, TestIssuer, TestProof};
use stepup_runtime::{BuildError, Builder, Contract, Dpop, Issuer, StepUp, routes, step_up};
use stepup_tests::server::{Answer, Server};

#[step_up(get = "/profile", trust = "standard")]
async fn profile() -> &'static str {
    "reached"
}

#[step_up(post = "/pay/{id}", methods = ["mfa"], bound = true)]
async fn pay() -> &'static str {
    "paid"
}

const RESOURCE: &str = "https://api.test";
const ALGS: &str = "ES256 ES384 EdDSA Ed25519 RS256 RS384 RS512 PS256 PS384 PS512";

struct Api {
    idp: TestIssuer,
    server: Server,
    holder: TestHolder,
}

async fn api_with(
    issuer: impl FnOnce(Issuer) -> Issuer,
    change: impl FnOnce(Builder) -> Builder,
) -> Api {
    let idp = TestIssuer::start().await.expect("an issuer");
    let builder = StepUp::builder().issuer(issuer(idp.issuer())).resource(RESOURCE);
    let step_up = change(builder).build().await.expect("built");
    let server = Server::start(routes![profile, pay].with_state(step_up)).await;
    let holder = TestHolder::new(TestAlgorithm::Es256).expect("a key");
    Api { idp, server, holder }
}

async fn api() -> Api {
    api_with(|issuer| issuer, |builder| builder).await
}

impl Api {
    /// A token that is bound to the holder's key.
    fn bound(&self) -> String {
        self.idp.token().claim("amr", json!(["mfa"])).bound_to(&self.holder).mint()
    }

    fn proof(&self, token: &str) -> TestProof {
        self.holder.proof("GET", &format!("{RESOURCE}/profile"), token)
    }

    /// Requests the profile with this token and these proofs.
    async fn send(&self, scheme: &str, token: &str, proofs: &[String]) -> Answer {
        self.call("GET", "/profile", scheme, token, proofs).await
    }

    async fn call(
        &self,
        method: &str,
        path: &str,
        scheme: &str,
        token: &str,
        proofs: &[String],
    ) -> Answer {
        let method = method.parse().expect("a method");
        let mut request = reqwest::Client::new()
            .request(method, self.server.url(path))
            .header("authorization", format!("{scheme} {token}"));
        for proof in proofs {
            request = request.header("dpop", proof);
        }
        Answer::of(request).await
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// Asserts a refusal with a DPoP challenge.
#[track_caller]
fn assert_refused(answer: &Answer, error: &str, what: &str) {
    assert_eq!(answer.status, 401, "{what}: {answer:?}");
    let (scheme, _) = answer.challenge().expect("a challenge");
    assert_eq!(scheme, "DPoP", "{what}");
    assert_eq!(answer.parameter("error").as_deref(), Some(error), "{what}: {answer:?}");
    assert_eq!(answer.parameter("algs").as_deref(), Some(ALGS), "{what}");
    assert_eq!(answer.json()["error"], error, "{what}");
}

#[tokio::test]
async fn a_bound_token_with_its_proof_is_accepted_with_every_algorithm() {
    for algorithm in [TestAlgorithm::Es256, TestAlgorithm::Rs256, TestAlgorithm::EdDsa] {
        let mut api = api().await;
        api.holder = TestHolder::new(algorithm).expect("a key");
        let token = api.bound();
        for scheme in ["DPoP", "dpop"] {
            let answer = api.send(scheme, &token, &[api.proof(&token).sign()]).await;
            assert_eq!(answer.body, "reached", "{algorithm:?}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn equivalent_forms_of_the_htu_are_accepted_and_the_query_is_ignored() {
    let api = api().await;
    let token = api.bound();
    for htu in [
        "https://API.test:443/profile",
        "https://api.test/profile?x=1",
        "https://api.test/profile#y",
    ] {
        let proof = api.proof(&token).claim("htu", htu).sign();
        assert_eq!(api.send("DPoP", &token, &[proof]).await.status, 200, "{htu}");
    }
    let proof = api.proof(&token).sign();
    let answer = api.call("GET", "/profile?query=1", "DPoP", &token, &[proof]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn a_bound_token_without_its_proof_is_refused() {
    let api = api().await;
    let token = api.bound();
    let proof = api.proof(&token).sign();
    let answer = api.send("Bearer", &token, std::slice::from_ref(&proof)).await;
    assert_refused(&answer, "invalid_token", "as Bearer, with the proof");
    assert_refused(&api.send("Bearer", &token, &[]).await, "invalid_token", "as Bearer");
    assert_refused(&api.send("DPoP", &token, &[]).await, "invalid_dpop_proof", "no proof");
    let proofs = [proof.clone(), api.proof(&token).sign()];
    assert_refused(&api.send("DPoP", &token, &proofs).await, "invalid_dpop_proof", "two proofs");
    assert_eq!(api.send("DPoP", &token, &[proof]).await.status, 200, "the proof itself is valid");
}

#[tokio::test]
async fn an_unbound_token_is_a_bearer_token_even_if_a_proof_accompanies_it() {
    let api = api().await;
    let token = api.idp.mfa_token();
    let proof = api.proof(&token).sign();
    assert_eq!(api.send("Bearer", &token, std::slice::from_ref(&proof)).await.status, 200);
    let answer = api.send("DPoP", &token, &[proof]).await;
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(
        answer.header("www-authenticate").map(|value| value.starts_with("Bearer")),
        Some(true)
    );
}

#[tokio::test]
async fn a_proof_for_another_request_or_with_another_key_is_refused() {
    let api = api().await;
    let token = api.bound();
    let other = api.bound_of(&TestHolder::new(TestAlgorithm::Es256).expect("a key"));
    let stranger = TestHolder::new(TestAlgorithm::Es256).expect("another key");
    let url = format!("{RESOURCE}/profile");
    let proof = || api.proof(&token);
    let mut private = jwk_of(&proof().sign());
    private["d"] = json!("AAAA");
    let strangers_jwk = jwk_of(&stranger.proof("GET", &url, &token).sign());
    let proofs = [
        ("another key", stranger.proof("GET", &url, &token).sign()),
        ("another key in the header", proof().header("jwk", strangers_jwk).sign()),
        ("a private key in the header", proof().header("jwk", private).sign()),
        ("no key", proof().header("jwk", Value::Null).sign()),
        ("a key as a string", proof().header("jwk", "key").sign()),
        ("another type", proof().header("typ", "JWT").sign()),
        ("no type", proof().header("typ", Value::Null).sign()),
        ("an access token as its own proof", token.clone()),
        ("the none algorithm", proof().header("alg", "none").sign()),
        ("a shared-secret algorithm", proof().header("alg", "HS256").sign()),
        ("another algorithm", proof().header("alg", "RS256").sign()),
        ("a critical extension", proof().header("crit", json!(["x"])).sign()),
        ("another method", proof().claim("htm", "POST").sign()),
        ("the method in lower case", proof().claim("htm", "get").sign()),
        ("no method", proof().claim("htm", Value::Null).sign()),
        ("another path", proof().claim("htu", "https://api.test/other").sign()),
        ("a trailing slash", proof().claim("htu", "https://api.test/profile/").sign()),
        ("another host", proof().claim("htu", "https://api.evil/profile").sign()),
        ("another scheme", proof().claim("htu", "http://api.test/profile").sign()),
        ("another port", proof().claim("htu", "https://api.test:8443/profile").sign()),
        ("the address of this server", proof().claim("htu", api.server.url("/profile")).sign()),
        ("only a path", proof().claim("htu", "/profile").sign()),
        ("no htu", proof().claim("htu", Value::Null).sign()),
        ("another token", api.holder.proof("GET", &url, &other).sign()),
        ("no token", proof().claim("ath", Value::Null).sign()),
        ("too old", proof().claim("iat", now() - 62).sign()),
        ("from the future", proof().claim("iat", now() + 35).sign()),
        ("no time", proof().claim("iat", Value::Null).sign()),
        ("a time as a string", proof().claim("iat", now().to_string()).sign()),
        ("an infinite time", proof().claim("iat", f64::MAX).sign()),
        ("no jti", proof().claim("jti", Value::Null).sign()),
        ("an empty jti", proof().claim("jti", "").sign()),
        ("a jti that is too long", proof().claim("jti", "x".repeat(257)).sign()),
        ("too long", proof().claim("padding", "x".repeat(8192)).sign()),
        ("not a JWT", "proof".to_owned()),
        ("two proofs in one", format!("{}, {}", proof().sign(), proof().sign())),
    ];
    for (what, proof) in proofs {
        let answer = api.send("DPoP", &token, &[proof]).await;
        assert_refused(&answer, "invalid_dpop_proof", what);
    }
}

/// The key in a proof's header.
fn jwk_of(proof: &str) -> Value {
    use base64::Engine;
    let header = proof.split('.').next().expect("a header");
    let header =
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).expect("base64url");
    serde_json::from_slice::<Value>(&header).expect("JSON")["jwk"].clone()
}

impl Api {
    fn bound_of(&self, holder: &TestHolder) -> String {
        self.idp.token().claim("amr", json!(["mfa"])).bound_to(holder).mint()
    }
}

#[tokio::test]
async fn an_anonymous_caller_is_challenged_in_every_scheme_that_the_endpoint_accepts() {
    let api = api().await;
    let dpop = format!("DPoP algs=\"{ALGS}\"");
    for (method, path, challenge) in
        [("POST", "/pay/7", dpop.clone()), ("GET", "/profile", format!("Bearer, {dpop}"))]
    {
        let answer = api.server.call(method, path, None).await;
        let challenged = answer.header("www-authenticate");
        assert_eq!((answer.status, challenged), (401, Some(challenge.as_str())), "{path}");
    }
}

#[tokio::test]
async fn unknown_members_of_cnf_are_ignored_and_other_bindings_are_not() {
    let api = api().await;
    let with = |name: &str| {
        let cnf = json!({"jkt": api.holder.thumbprint(), name: "x"});
        api.idp.token().claim("amr", json!(["pwd"])).claim("cnf", cnf).mint()
    };
    for (name, status) in
        [("kid", 200), ("https://keycloak.example/x", 200), ("x5t#S256", 401), ("jwk", 401)]
    {
        let token = with(name);
        let answer = api.send("DPoP", &token, &[api.proof(&token).sign()]).await;
        assert_eq!(answer.status, status, "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn the_reason_for_a_refused_proof_is_accurate() {
    let api = api().await;
    let token = api.bound();
    let proof = || api.proof(&token);
    let mut private = jwk_of(&proof().sign());
    private["d"] = json!("AAAA");
    let mut invalid = jwk_of(&proof().sign());
    // Not part of the thumbprint.
    invalid["alg"] = json!("ES384");
    for (proof, reason) in [
        (proof().header("alg", "none"), "the DPoP proof's algorithm is not accepted"),
        (proof().header("alg", "ES512"), "the DPoP proof's algorithm is not accepted"),
        (proof().header("crit", json!(["x"])), "the DPoP proof's header requires an extension"),
        (proof().header("jwk", private), "the DPoP proof contains a private key"),
        (proof().header("jwk", invalid), "the DPoP proof's key does not fit its algorithm"),
        (proof().header("alg", "RS256"), "the DPoP proof's key does not fit its algorithm"),
    ] {
        let answer = api.send("DPoP", &token, &[proof.sign()]).await;
        assert_eq!((answer.status, answer.json()["detail"].clone()), (401, json!(reason)));
    }
}

#[tokio::test]
async fn a_proof_is_accepted_once() {
    let api = api().await;
    let token = api.bound();
    let proof = api.proof(&token).sign();
    assert_eq!(api.send("DPoP", &token, std::slice::from_ref(&proof)).await.status, 200);
    let answer = api.send("DPoP", &token, &[proof]).await;
    assert_refused(&answer, "invalid_dpop_proof", "the same proof");
    let same_jti = |jti: &str| api.proof(&token).claim("jti", jti).sign();
    assert_eq!(api.send("DPoP", &token, &[same_jti("j")]).await.status, 200);
    let answer = api.send("DPoP", &token, &[same_jti("j")]).await;
    assert_refused(&answer, "invalid_dpop_proof", "another proof with the same jti");
}

#[tokio::test]
async fn a_full_replay_cache_refuses_more_proofs_from_one_caller_or_from_all() {
    let few = |builder: Builder| builder.dpop(Dpop::default().remembered_proofs(9));
    let mut api = api_with(|issuer| issuer, few).await;
    for n in 0..6 {
        // One caller can use an eighth of the cache, rounded up, with any number of keys: two of nine entries. All
        // callers together can use nine.
        let expected = if n < 4 { [200, 200, 503] } else { [200, 503, 503] };
        let expected = if n < 5 { expected } else { [503; 3] };
        for status in expected {
            api.holder = TestHolder::new(TestAlgorithm::Es256).expect("a key");
            let token = api.idp.token().claim("amr", json!(["mfa"]));
            let token = token.claim("sub", format!("user-{n}")).bound_to(&api.holder).mint();
            let answer = api.send("DPoP", &token, &[api.proof(&token).sign()]).await;
            assert_eq!(answer.status, status, "user {n}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_nonce_is_required_issued_and_accepted() {
    let nonces = |builder: Builder| builder.dpop(Dpop::default().nonces([7; 32]));
    let api = api_with(|issuer| issuer, nonces).await;
    let token = api.bound();
    let answer = api.send("DPoP", &token, &[api.proof(&token).sign()]).await;
    assert_refused(&answer, "use_dpop_nonce", "no nonce");
    let exposed = answer.header("access-control-expose-headers").expect("exposed headers");
    assert!(exposed.contains("DPoP-Nonce") && exposed.contains("WWW-Authenticate"));
    let nonce = answer.header("dpop-nonce").expect("a nonce").to_owned();
    let proof = api.proof(&token).claim("nonce", nonce.as_str()).sign();
    assert_eq!(api.send("DPoP", &token, &[proof]).await.status, 200);
    for wrong in ["", "x", &nonce[1..], &nonce.to_lowercase()] {
        let proof = api.proof(&token).claim("nonce", wrong).sign();
        assert_refused(&api.send("DPoP", &token, &[proof]).await, "use_dpop_nonce", wrong);
    }
}

#[tokio::test]
async fn a_bound_endpoint_refuses_bearer_tokens_and_still_requires_the_step_up() {
    let api = api().await;
    let url = format!("{RESOURCE}/pay/7");
    let bearer = api.idp.mfa_token();
    let answer = api.call("POST", "/pay/7", "Bearer", &bearer, &[]).await;
    assert_refused(&answer, "invalid_token", "a bearer token");
    let token = api.bound();
    let proof = api.holder.proof("POST", &url, &token).sign();
    assert_eq!(api.call("POST", "/pay/7", "DPoP", &token, &[proof]).await.body, "paid");
    let weak = api.idp.token().bound_to(&api.holder).mint();
    let proof = api.holder.proof("POST", &url, &weak).sign();
    let answer = api.call("POST", "/pay/7", "DPoP", &weak, &[proof]).await;
    assert_refused(&answer, "insufficient_user_authentication", "too weak");
    assert_eq!(answer.parameter("acr_values").as_deref(), Some("mfa"));
}

#[tokio::test]
async fn bearer_tokens_are_refused_if_the_issuer_requires_dpop() {
    let api = api_with(Issuer::dpop_required, |builder| builder).await;
    let answer = api.send("Bearer", &api.idp.mfa_token(), &[]).await;
    assert_refused(&answer, "invalid_token", "unbound");
    let token = api.bound();
    assert_eq!(api.send("DPoP", &token, &[api.proof(&token).sign()]).await.status, 200);
    let answer = api.server.call("GET", "/profile", None).await;
    let expected = format!("DPoP algs=\"{ALGS}\"");
    assert_eq!(answer.header("www-authenticate"), Some(expected.as_str()), "no credential");
}

#[tokio::test]
async fn an_opaque_token_is_bound_by_its_introspection_response() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let issuer = idp.issuer().introspect(idp.introspection());
    let builder = StepUp::builder().issuer(issuer).resource(RESOURCE);
    let app = routes![profile, pay].with_state(builder.build().await.expect("built"));
    let holder = TestHolder::new(TestAlgorithm::Es256).expect("a key");
    let api = Api { idp, server: Server::start(app).await, holder };
    let token = api.idp.token().claim("token_type", "DPoP").bound_to(&api.holder);
    let token = api.idp.opaque(token);
    assert_refused(&api.send("Bearer", &token, &[]).await, "invalid_token", "as Bearer");
    assert_eq!(api.send("DPoP", &token, &[api.proof(&token).sign()]).await.status, 200);
}

#[tokio::test]
async fn an_unsupported_binding_is_refused() {
    let api = api().await;
    let jkt = api.holder.thumbprint();
    for cnf in [
        json!({}),
        json!(null),
        json!("jkt"),
        json!({"jkt": 7}),
        json!({"x5t#S256": "x"}),
        json!({"jkt": jkt, "x5t#S256": "x"}),
        json!({"jwk": {}}),
    ] {
        let token = api.idp.token().claim("cnf", cnf.clone()).mint();
        let answer = api.send("DPoP", &token, &[api.proof(&token).sign()]).await;
        assert_eq!(answer.status, 401, "{cnf}: {answer:?}");
        assert_eq!(answer.parameter("error").as_deref(), Some("invalid_token"), "{cnf}");
    }
}

#[tokio::test]
async fn without_a_resource_url_bound_tokens_are_refused_and_required_dpop_does_not_build() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let holder = TestHolder::new(TestAlgorithm::Es256).expect("a key");
    let step_up = StepUp::builder().issuer(idp.issuer()).build().await.expect("built");
    let server = Server::start(routes![profile, pay].with_state(step_up)).await;
    let api = Api { idp, server, holder };
    let token = api.bound();
    let answer = api.send("DPoP", &token, &[api.proof(&token).sign()]).await;
    assert_refused(&answer, "invalid_token", "no resource to compare with");
    assert_eq!(api.call("POST", "/pay/7", "Bearer", &token, &[]).await.status, 500);

    let required = StepUp::builder().issuer(api.idp.issuer().dpop_required()).build().await;
    assert!(matches!(required, Err(BuildError::DpopWithoutResource(_))));
    let pay = json!({"method": "POST", "path": "/pay/{id}",
        "security": {"step-up": true, "methods": ["mfa"], "bound": true}});
    let contract = Contract::parse(pay.to_string()).expect("a contract");
    let builder = StepUp::builder().issuer(api.idp.issuer()).contract(contract);
    let error = builder.build().await.expect_err("`bound` is not enforceable").to_string();
    assert!(error.contains("POST /pay/{id}") && error.contains(".resource("), "{error}");
}

#[tokio::test]
async fn a_proof_must_contain_the_url_that_the_client_sees() {
    // In a nested router, axum removes the prefix from the path that the handler sees.
    async fn unguarded() -> &'static str {
        "up"
    }
    let idp = TestIssuer::start().await.expect("an issuer");
    let builder = StepUp::builder().issuer(idp.issuer()).resource("https://gate.test/v1/");
    let step_up = builder.build().await.expect("built");
    let inner: Router<StepUp> = routes![profile, pay];
    let app = Router::new().nest("/inner", inner).route("/up", get(unguarded));
    let server = Server::start(app.with_state(step_up)).await;
    let holder = TestHolder::new(TestAlgorithm::Es256).expect("a key");
    let api = Api { idp, server, holder };
    let token = api.bound();
    for (url, expected) in [
        ("https://gate.test/v1/inner/profile", 200),
        ("https://gate.test/v1/profile", 401),
        ("https://gate.test/inner/profile", 401),
    ] {
        let proof = api.holder.proof("GET", url, &token).sign();
        let answer = api.call("GET", "/inner/profile", "DPoP", &token, &[proof]).await;
        assert_eq!(answer.status, expected, "{url}: {answer:?}");
    }
}

#[tokio::test]
async fn no_proof_is_accepted_for_a_path_that_is_not_canonical() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let builder = StepUp::builder().issuer(idp.issuer()).resource(RESOURCE);
    let step_up = builder.build().await.expect("built");
    let holder = TestHolder::new(TestAlgorithm::Es256).expect("a key");
    let token = idp.token().bound_to(&holder).mint();
    let contract = Contract::parse(r#"{"path": "/{*rest}", "security": {"step-up": false}}"#);
    let contract = contract.expect("a contract");
    for (path, url, allowed) in [
        ("/b", "/b", true),
        ("/a%20b/ü", "/a%20b/ü", false),
        ("/files/../b", "/b", false),
        ("/files/../b", "/files/../b", false),
        ("/files/%2e%2e/b", "/b", false),
        ("/files\\b", "/files/b", false),
        ("/files/./b", "/files/b", false),
    ] {
        let proof = holder.proof("GET", &format!("{RESOURCE}{url}"), &token).sign();
        let request = http::Request::get(path).header("authorization", format!("DPoP {token}"));
        let Ok(request) = request.header("dpop", proof).body(()) else { continue };
        let (head, ()) = request.into_parts();
        let outcome = step_up.enforce(&contract.endpoints()[0], (&head).into()).await;
        assert_eq!(outcome.is_ok(), allowed, "{path} with a proof for {url}");
    }
}

#[tokio::test]
async fn callers_without_a_valid_token_do_not_learn_that_an_endpoint_is_bound() {
    let api = api().await;
    let expired = api.idp.token().claim("exp", 1_700_000_000).mint();
    let early = api.idp.token().claim("nbf", 4_000_000_000_u64).mint();
    for token in [expired.as_str(), &early, "x"] {
        for (method, path) in [("GET", "/profile"), ("POST", "/pay/7")] {
            let answer = api.call(method, path, "Bearer", token, &[]).await;
            let (scheme, _) = answer.challenge().expect("a challenge");
            assert_eq!(scheme, "Bearer", "{path}");
        }
    }
}
