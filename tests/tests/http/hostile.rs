//! Tokens that an attacker could craft. Each is refused, and none causes a panic. If a signature is
//! wrong, jsonwebtoken rejects it as well.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use http::{HeaderValue, Request};
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde_json::{Value, json};
use stepup_runtime::testing::{TestAlgorithm, TestIssuer, TestToken};
use stepup_runtime::{Cause, Contract, Endpoint, InvalidRequest, Refusal, StepUp, TokenError};

/// Asserts that the token is refused for this reason and no other.
macro_rules! assert_refused {
    ($api:expr, $what:expr, $token:expr, $cause:pat) => {{
        let (what, token): (&str, &str) = ($what, $token);
        let cause = $api.cause(what, token).await;
        assert!(matches!(cause, $cause), "{what}: {cause:?}");
    }};
}

struct Api {
    idp: TestIssuer,
    step_up: StepUp,
    endpoint: Endpoint,
}

async fn api(algorithm: TestAlgorithm) -> Api {
    let idp = TestIssuer::start_with(algorithm).await.expect("an issuer");
    // The settings are lenient, so that they are not the reason for a refusal.
    let issuer = idp.issuer().jwks(idp.jwks()).allow_untyped_tokens(true).clock_skew(300);
    let step_up = StepUp::builder().issuer(issuer).build().await.expect("built");
    let text =
        r#"{"path": "/", "security": {"step-up": true, "methods": ["mfa"], "max-age": 300}}"#;
    let endpoint = Contract::parse(text).expect("a contract").endpoints()[0].clone();
    Api { idp, step_up, endpoint }
}

/// An API whose issuer has this key.
async fn api_with_key(jwk: &Value) -> Api {
    let api = api(TestAlgorithm::Es256).await;
    let issuer = api.idp.issuer().jwks(json!({"keys": [jwk]}).to_string());
    let step_up = StepUp::builder().issuer(issuer).build().await.expect("built");
    Api { step_up, ..api }
}

impl Api {
    /// The outcome of a call with this Authorization header; `None` if the call is allowed.
    async fn refusal(&self, header: &[u8]) -> Option<Refusal> {
        // A server's HTTP parser refuses such a header.
        let Ok(value) = HeaderValue::from_bytes(header) else {
            return Some(Cause::from(InvalidRequest::Header).into());
        };
        let request = Request::get("/").header("authorization", value);
        let (head, ()) = request.body(()).expect("a request").into_parts();
        self.step_up.enforce(&self.endpoint, (&head).into()).await.err()
    }

    /// The status of a call with this Authorization header.
    async fn status(&self, header: &[u8]) -> u16 {
        self.refusal(header).await.map_or(200, |refusal| refusal.status().as_u16())
    }

    /// The cause of the refusal of a call with this token.
    async fn cause(&self, what: &str, token: &str) -> Cause {
        let refusal = self.refusal(format!("Bearer {token}").as_bytes()).await;
        refusal.unwrap_or_else(|| panic!("{what}: allowed")).cause().clone()
    }

    fn token(&self) -> TestToken {
        self.idp.token().claim("amr", json!(["mfa"])).claim("scope", "a")
    }

    fn jwk(&self) -> Value {
        serde_json::from_str::<Value>(&self.idp.jwks()).expect("JSON")["keys"][0].clone()
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The three parts of a token.
fn parts(token: &str) -> [String; 3] {
    let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts.try_into().expect("three parts")
}

fn claims_of(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(&parts(token)[1]).expect("base64url"))
        .expect("JSON")
}

const ALL: [TestAlgorithm; 3] = [TestAlgorithm::Es256, TestAlgorithm::Rs256, TestAlgorithm::EdDsa];

#[tokio::test]
async fn an_honest_token_is_accepted() {
    for algorithm in ALL {
        let api = api(algorithm).await;
        let header = format!("Bearer {}", api.token().mint());
        assert_eq!(api.status(header.as_bytes()).await, 200);
    }
}

#[tokio::test]
async fn only_the_algorithm_of_the_key_is_accepted() {
    for algorithm in ALL {
        let api = api(algorithm).await;
        let honest = api.token().mint();
        let [_, claims, signature] = parts(&honest);
        for alg in [
            "none",
            "None",
            "NONE",
            "nOnE",
            "",
            "HS256",
            "HS384",
            "HS512",
            "hs256",
            "RS256",
            "RS384",
            "RS512",
            "PS256",
            "PS384",
            "PS512",
            "ES256",
            "ES384",
            "ES512",
            "ES256K",
            "EdDSA",
            "Ed25519",
            "A128KW",
            "dir",
            "RSA-OAEP",
            "RS1",
            "\u{0}RS256",
            "RS256\n",
        ] {
            // Both names mean the same algorithm.
            let same = |alg: &str| alg.replace("EdDSA", "Ed25519");
            if same(alg) == same(api.jwk()["alg"].as_str().unwrap_or_default()) {
                continue;
            }
            let header = json!({"typ": "at+jwt", "alg": alg, "kid": api.jwk()["kid"]}).to_string();
            let message = format!("{}.{claims}", encode(header));
            assert_refused!(
                api,
                &format!("{alg}, no signature"),
                &format!("{message}."),
                Cause::InvalidToken(TokenError::Algorithm | TokenError::UnknownKey)
            );
            assert_refused!(
                api,
                alg,
                &format!("{message}.{signature}"),
                Cause::InvalidToken(TokenError::Algorithm | TokenError::UnknownKey)
            );
            assert_refused!(
                api,
                alg,
                &api.token().header("alg", alg).mint(),
                Cause::InvalidToken(TokenError::Algorithm | TokenError::UnknownKey)
            );
        }
        for alg in [json!(null), json!(7), json!(["ES256"]), json!({"alg": "none"}), json!(true)] {
            assert_refused!(
                api,
                &alg.to_string(),
                &api.token().header("alg", alg.clone()).mint(),
                Cause::InvalidToken(TokenError::Algorithm | TokenError::Malformed)
            );
        }
    }
}

#[tokio::test]
async fn a_public_key_is_not_used_as_a_shared_secret() {
    for algorithm in ALL {
        let api = api(algorithm).await;
        let jwk = api.jwk();
        let decoded = |name: &str| {
            jwk[name].as_str().map(|text| URL_SAFE_NO_PAD.decode(text).expect("base64url"))
        };
        let claims = parts(&api.token().mint())[1].clone();
        let secrets = [
            jwk.to_string().into_bytes(),
            api.idp.jwks().into_bytes(),
            decoded("n").or(decoded("x")).expect("a number"),
            jwk["n"].as_str().or(jwk["x"].as_str()).expect("a number").as_bytes().to_vec(),
            b"".to_vec(),
        ];
        for (name, alg) in
            [("HS256", Algorithm::HS256), ("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)]
        {
            for secret in &secrets {
                let header = json!({"typ": "at+jwt", "alg": name, "kid": jwk["kid"]}).to_string();
                let message = format!("{}.{claims}", encode(header));
                let key = EncodingKey::from_secret(secret);
                let signer = (DEFAULT_PROVIDER.signer_factory)(&alg, &key).expect("a signer");
                let signature = signer.try_sign(message.as_bytes()).expect("signed");
                assert_refused!(
                    api,
                    name,
                    &format!("{message}.{}", encode(signature)),
                    Cause::InvalidToken(TokenError::Algorithm)
                );
            }
        }
    }
}

#[tokio::test]
async fn keys_that_the_token_contains_or_references_are_ignored() {
    let api = api(TestAlgorithm::Es256).await;
    let attacker = TestIssuer::start().await.expect("an issuer");
    let forged = || {
        attacker
            .token()
            .claim("iss", api.idp.url())
            .claim("amr", json!(["mfa"]))
            .claim("scope", "a")
    };
    let jwk = serde_json::from_str::<Value>(&attacker.jwks()).expect("JSON")["keys"][0].clone();
    let point = jwk.to_string();
    for (what, token) in [
        ("attacker's jwk", forged().header("jwk", jwk.clone())),
        ("attacker's jwk, no kid", forged().header("jwk", jwk.clone()).header("kid", Value::Null)),
        ("a jku", forged().header("jku", format!("{}/jwks", attacker.url()))),
        ("an x5u", forged().header("x5u", format!("{}/jwks", attacker.url()))),
        ("an x5c", forged().header("x5c", json!([STANDARD.encode(&point)]))),
        ("an x5t", forged().header("x5t", encode(&point))),
        ("the issuer's kid", forged().header("kid", api.jwk()["kid"].clone())),
    ] {
        assert_refused!(api, what, &token.mint(), Cause::InvalidToken(TokenError::WrongSignature));
    }
    assert_eq!(attacker.key_requests(), 0, "no key was fetched from the attacker");
    for kid in [
        "../../../../dev/null",
        "/dev/null",
        "key' OR '1'='1",
        "key-0'; DROP TABLE keys; --",
        "key-0\u{0}",
        "",
        " key-0",
        "KEY-0",
        "http://127.0.0.1/key",
        "$(id)",
        "%00",
        "\u{202e}0-yek",
    ] {
        assert_refused!(
            api,
            kid,
            &forged().header("kid", kid).mint(),
            Cause::InvalidToken(TokenError::UnknownKey)
        );
        assert_refused!(
            api,
            kid,
            &api.token().header("kid", kid).mint(),
            Cause::InvalidToken(TokenError::UnknownKey)
        );
    }
    for kid in [json!(0), json!(["key-0"]), json!({"kid": "key-0"}), json!(true)] {
        assert_refused!(
            api,
            &kid.to_string(),
            &api.token().header("kid", kid.clone()).mint(),
            Cause::InvalidToken(TokenError::Malformed)
        );
    }
}

#[tokio::test]
async fn header_extensions_and_other_token_types_are_refused() {
    let api = api(TestAlgorithm::Es256).await;
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!("b64")),
        ("crit", json!(["b64"])),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
    ] {
        let token = api.token().header(name, value.clone()).mint();
        assert_refused!(
            api,
            &format!("{name}: {value}"),
            &token,
            Cause::InvalidToken(TokenError::HeaderExtension)
        );
    }
    for typ in [
        "JWE",
        "dpop+jwt",
        "secevent+jwt",
        "logout+jwt",
        "token-introspection+jwt",
        "id_token",
        "at+jwt ",
        "application/application/at+jwt",
        "text/at+jwt",
        "",
    ] {
        assert_refused!(
            api,
            typ,
            &api.token().header("typ", typ).mint(),
            Cause::InvalidToken(TokenError::NotAnAccessToken)
        );
    }
}

/// A token with this payload, signed by the issuer.
fn signed(api: &Api, payload: &[u8]) -> String {
    api.token().mint_payload(payload)
}

#[tokio::test]
async fn ambiguous_or_malformed_claims_are_refused() {
    let api = api(TestAlgorithm::Es256).await;
    let honest_token = api.token().mint();
    let honest = claims_of(&honest_token).to_string();
    assert_eq!(
        api.status(format!("Bearer {}", signed(&api, honest.as_bytes())).as_bytes()).await,
        200
    );
    let inside = &honest[1..];
    let mut payloads: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |what: &str, text: String| payloads.push((what.to_owned(), text.into_bytes()));
    for (name, value) in [
        ("amr", "[\"pwd\"]"),
        ("iss", "\"https://evil.example\""),
        ("exp", "1"),
        ("sub", "\"eve\""),
        ("aud", "\"other\""),
        ("auth_time", "1"),
        ("\\u0061mr", "[\"pwd\"]"),
    ] {
        add("a duplicate member", format!("{{\"{name}\":{value},{inside}"));
    }
    add("duplicate nested members", format!("{{\"x\":{{\"a\":1,\"a\":2}},{inside}"));
    add("trailing text", format!("{honest}x"));
    add("two documents", format!("{honest}{honest}"));
    add("a byte order mark", format!("\u{feff}{honest}"));
    add("a comment", format!("{{/**/{inside}"));
    add("a trailing comma", format!("{},}}", &honest[..honest.len() - 1]));
    add("single quotes", honest.replace('"', "'"));
    add("an array", format!("[{honest}]"));
    add("a string", "\"claims\"".into());
    add("an empty payload", String::new());
    add("null", "null".into());
    add("nested arrays", format!("{{\"x\":{}{},{inside}", "[".repeat(3000), "]".repeat(3000)));
    add(
        "nested objects",
        format!("{{\"x\":{}1{},{inside}", "{\"a\":".repeat(1500), "}".repeat(1500)),
    );
    for number in
        ["1e400", "-1e400", "NaN", "Infinity", "-Infinity", "0x10", "01", "1.", ".5", "+1"]
    {
        add(number, format!("{{\"x\":{number},{inside}"));
    }
    let now = claims_of(&honest_token)["iat"].as_u64().expect("a time");
    for name in ["exp", "iat", "nbf", "auth_time"] {
        let mut rest = claims_of(&honest_token);
        rest.as_object_mut().expect("an object").remove(name);
        let rest = &rest.to_string()[1..];
        for number in ["1e400", "-1e400", "1e999999", "NaN", "Infinity", "1e-400x", "0x7fffffff"] {
            add(&format!("{name}: {number}"), format!("{{\"{name}\":{number},{rest}"));
        }
        add("a duplicate date", format!("{{\"{name}\":{now},\"{name}\":{now},{rest}"));
    }
    payloads.push(("not UTF-8".into(), [b"{\"x\":\"\xff\",", inside.as_bytes()].concat()));
    payloads
        .push(("a lone surrogate".into(), format!("{{\"x\":\"\\ud800\",{inside}").into_bytes()));
    for (what, payload) in payloads {
        assert_refused!(
            api,
            &what,
            &signed(&api, &payload),
            Cause::InvalidToken(TokenError::Malformed)
        );
    }
}

/// jsonwebtoken signs these tokens, because the test issuer cannot write duplicate members in a header.
#[tokio::test]
async fn an_ambiguous_or_malformed_header_is_refused() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let der = pair.to_pkcs8v1().expect("PKCS #8");
    let signer = EncodingKey::from_ec_der(der.as_ref());
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "k", "x": encode(x), "y": encode(y)});
    let api = api_with_key(&jwk).await;
    let claims = parts(&api.token().mint())[1].clone();
    let sign = |header: &str| {
        let message = format!("{}.{claims}", encode(header));
        let signer = (DEFAULT_PROVIDER.signer_factory)(&Algorithm::ES256, &signer);
        let signature = signer.expect("a signer").try_sign(message.as_bytes()).expect("signed");
        format!("{message}.{}", encode(signature))
    };
    let honest = sign(r#"{"typ":"at+jwt","alg":"ES256","kid":"k"}"#);
    assert_eq!(api.status(format!("Bearer {honest}").as_bytes()).await, 200);
    for header in [
        r#"{"typ":"at+jwt","alg":"none","alg":"ES256","kid":"k"}"#,
        r#"{"typ":"at+jwt","alg":"ES256","alg":"ES256","kid":"k"}"#,
        r#"{"typ":"at+jwt","alg":"ES256","kid":"x","kid":"k"}"#,
        r#"{"typ":"JWT","typ":"at+jwt","alg":"ES256","kid":"k"}"#,
        r#"{"typ":"at+jwt","alg":"ES256","kid":"k","\u006bid":"k"}"#,
        r#"{"typ":"at+jwt","alg":"ES256","kid":"k"}x"#,
        r#"[{"typ":"at+jwt","alg":"ES256","kid":"k"}]"#,
        r#"["ES256","k","at+jwt"]"#,
        r#"{"typ":"at+jwt","alg":"ES256","kid":null}"#,
    ] {
        assert_refused!(api, header, &sign(header), Cause::InvalidToken(TokenError::Malformed));
    }
}

/// Each supported algorithm works, and only under its own name.
#[tokio::test]
async fn each_supported_algorithm_verifies_only_its_own_signatures() {
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let modulus = rsa.public_key().modulus().big_endian_without_leading_zero().to_vec();
    let rsa_jwk = json!({"kty": "RSA", "kid": "k", "e": "AQAB", "n": encode(modulus)});
    let p384 = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key");
    let (x, y) = p384.public_key().as_ref()[1..].split_at(48);
    let ec_jwk = json!({"kty": "EC", "crv": "P-384", "kid": "k", "x": encode(x), "y": encode(y)});
    let random = SystemRandom::new();
    let with_rsa = |padding: &'static dyn RsaEncoding, message: &[u8]| {
        let mut signature = vec![0; rsa.public_modulus_len()];
        rsa.sign(padding, &random, message, &mut signature).expect("signed");
        signature
    };
    let all: [(&str, Option<&'static dyn RsaEncoding>); 7] = [
        ("RS256", Some(&RSA_PKCS1_SHA256)),
        ("RS384", Some(&RSA_PKCS1_SHA384)),
        ("RS512", Some(&RSA_PKCS1_SHA512)),
        ("PS256", Some(&RSA_PSS_SHA256)),
        ("PS384", Some(&RSA_PSS_SHA384)),
        ("PS512", Some(&RSA_PSS_SHA512)),
        ("ES384", None),
    ];
    for (name, padding) in all {
        let api = api_with_key(if padding.is_some() { &rsa_jwk } else { &ec_jwk }).await;
        let claims = parts(&api.token().mint())[1].clone();
        for (declared, _) in all {
            let header = json!({"typ": "at+jwt", "alg": declared, "kid": "k"}).to_string();
            let message = format!("{}.{claims}", encode(header));
            let signature = match padding {
                Some(padding) => with_rsa(padding, message.as_bytes()),
                None => p384.sign(&random, message.as_bytes()).expect("signed").as_ref().to_vec(),
            };
            let header = format!("Bearer {message}.{}", encode(signature));
            let expected = if declared == name { 200 } else { 401 };
            assert_eq!(api.status(header.as_bytes()).await, expected, "{name} as {declared}");
        }
    }
}

#[tokio::test]
async fn invalid_dates_make_no_token_valid_and_no_login_recent() {
    let api = api(TestAlgorithm::Es256).await;
    let now = claims_of(&api.token().mint())["iat"].as_u64().expect("a time");
    let invalid = [
        json!("never"),
        json!(now.to_string()),
        json!((now + 600).to_string()),
        json!(null),
        json!(true),
        json!([now + 600]),
        json!({"seconds": now + 600}),
        json!(-1),
        json!(-1.5),
        json!(i64::MIN),
        json!(1e300),
        json!(f64::MAX),
        json!(f64::MIN_POSITIVE),
        json!(0),
    ];
    for value in &invalid {
        for name in ["exp", "auth_time"] {
            let token = api.token().claim(name, value.clone()).mint();
            let what = format!("{name}: {value}");
            if name == "exp" {
                assert_refused!(
                    api,
                    &what,
                    &token,
                    Cause::InvalidToken(TokenError::InvalidDate | TokenError::Expired)
                );
            } else {
                assert_refused!(api, &what, &token, Cause::StepUp(..));
            }
        }
    }
    for value in &invalid[..12] {
        for name in ["nbf", "iat"] {
            let token = api.token().claim(name, value.clone()).mint();
            assert_refused!(
                api,
                &format!("{name}: {value}"),
                &token,
                Cause::InvalidToken(TokenError::InvalidDate)
            );
        }
    }
    for (name, value) in [
        ("auth_time", json!(now * 1000)),
        ("auth_time", json!(now + 1000)),
        ("auth_time", json!(u64::MAX)),
        ("nbf", json!(u64::MAX)),
        ("iat", json!(now * 1000)),
    ] {
        let token = api.token().claim(name, value.clone()).mint();
        let what = format!("{name}: {value}");
        if name == "auth_time" {
            assert_refused!(api, &what, &token, Cause::StepUp(..));
        } else {
            assert_refused!(api, &what, &token, Cause::InvalidToken(TokenError::NotYetValid));
        }
    }
}

#[tokio::test]
async fn a_token_has_only_one_valid_encoding() {
    for algorithm in ALL {
        let api = api(algorithm).await;
        let token = api.token().mint();
        let [header, claims, signature] = parts(&token);
        let raw = URL_SAFE_NO_PAD.decode(&signature).expect("base64url");
        let last = same_bytes(&signature);
        let mut encodings = vec![
            format!("{token}."),
            format!("{token}.."),
            format!(".{token}"),
            format!("{header}..{claims}.{signature}"),
            format!("{header}.{claims}"),
            format!("{header}.{claims}.."),
            format!("{header}=.{claims}.{signature}"),
            format!("{header}.{claims}=.{signature}"),
            format!("{header}.{claims}.{signature}="),
            format!("{header}.{claims}.{signature}=="),
            format!("{header}.{claims}.{}", URL_SAFE.encode(&raw) + "="),
            format!("{header}.{claims}.{signature}A"),
            format!("{header}.{claims}.A{signature}"),
            format!("{header}.{claims}.{}", encode([&raw[..], b"\0"].concat())),
            format!("{header}.{claims}.{}", encode([b"\0", &raw[..]].concat())),
            format!("{header}.{claims}.{}", encode(&raw[..raw.len() - 1])),
            format!("{header}.{claims}.{}.{}", signature, signature),
            format!("{header}.{claims}.{} {}", &signature[..5], &signature[5..]),
            format!("{header}.{claims}\u{a0}.{signature}"),
            format!("{claims}.{header}.{signature}"),
            format!("{signature}.{claims}.{header}"),
        ];
        // The last character has unused bits, so other characters may decode to the same bytes.
        encodings.extend(last.iter().map(|other| format!("{header}.{claims}.{other}")));
        for encoding in encodings {
            if encoding != token {
                assert_refused!(
                    api,
                    "another encoding",
                    &encoding,
                    Cause::InvalidToken(
                        TokenError::Malformed | TokenError::Algorithm | TokenError::WrongSignature
                    ) | Cause::InvalidRequest(InvalidRequest::TokenCharacters)
                );
            }
        }
    }
}

/// Other base64 texts that a lenient decoder decodes to the same bytes.
fn same_bytes(text: &str) -> Vec<String> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let free = match text.len() % 4 {
        2 => 16,
        3 => 4,
        _ => return Vec::new(),
    };
    let (start, end) = text.split_at(text.len() - 1);
    let last = ALPHABET.find(end).expect("base64url");
    let same = (1..free).map(|bits| &ALPHABET[last + bits..=last + bits]);
    same.map(|character| format!("{start}{character}")).collect()
}

/// Whether jsonwebtoken verifies this signature with the issuer's key.
fn jsonwebtoken_verifies(jwk: &Value, message: &[u8], signature: &[u8]) -> bool {
    let alg: Algorithm = serde_json::from_value(jwk["alg"].clone()).expect("an algorithm");
    let jwk: Jwk = serde_json::from_value(jwk.clone()).expect("a JWK");
    let key = DecodingKey::from_jwk(&jwk).expect("a key");
    (DEFAULT_PROVIDER.verifier_factory)(&alg, &key)
        .is_ok_and(|verifier| verifier.verify(message, &signature.to_vec()).is_ok())
}

/// DER of an ECDSA signature: SEQUENCE { INTEGER r, INTEGER s }.
fn der(fixed: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let bytes: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        let pad = if bytes.first().is_none_or(|byte| *byte > 127) { vec![0] } else { vec![] };
        let length = u8::try_from(bytes.len() + pad.len()).expect("short");
        [vec![2, length], pad, bytes].concat()
    };
    let (r, s) = fixed.split_at(fixed.len() / 2);
    let body = [integer(r), integer(s)].concat();
    [vec![0x30, u8::try_from(body.len()).expect("short")], body].concat()
}

#[tokio::test]
async fn step_up_and_jsonwebtoken_refuse_every_invalid_signature() {
    // The order n of P-256's group, for signatures whose numbers are zero modulo n.
    let order = "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551";
    let order: Vec<u8> = (0..32)
        .map(|i| u8::from_str_radix(&order[2 * i..2 * i + 2], 16).expect("hexadecimal"))
        .collect();
    for algorithm in ALL {
        let api = api(algorithm).await;
        let jwk = api.jwk();
        let token = api.token().mint();
        let (message, signature) = token.rsplit_once('.').expect("three parts");
        let honest = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        let size = honest.len();
        let (zero, one) = (vec![0; size / 2], [vec![0; size / 2 - 1], vec![1]].concat());
        let half = |first: &[u8], second: &[u8]| [first, second].concat();
        let mut invalid = vec![
            Vec::new(),
            vec![0; size],
            vec![0xff; size],
            vec![0; 64],
            half(&zero, &one),
            half(&one, &zero),
            half(&one, &one),
            half(&order, &order),
            half(&order, &one),
            half(&one, &order),
            honest.iter().rev().copied().collect(),
            honest[..size / 2].to_vec(),
            half(&honest, &honest),
        ];
        if size == 64 {
            invalid.push(der(&honest));
        }
        // One flipped bit in each byte.
        for index in 0..size {
            let mut flipped = honest.clone();
            flipped[index] ^= 1 << (index % 8);
            invalid.push(flipped);
        }
        assert!(jsonwebtoken_verifies(&jwk, message.as_bytes(), &honest));
        for signature in invalid {
            let what = format!("{algorithm:?} {signature:02x?}");
            assert!(!jsonwebtoken_verifies(&jwk, message.as_bytes(), &signature), "{what}");
            assert_refused!(
                api,
                &what,
                &format!("{message}.{}", encode(&signature)),
                Cause::InvalidToken(TokenError::WrongSignature)
            );
        }
        // The signature of another token of the same issuer.
        let other = api.token().claim("sub", "eve").mint();
        let (_, others) = other.rsplit_once('.').expect("three parts");
        assert_refused!(
            api,
            "another token's signature",
            &format!("{message}.{others}"),
            Cause::InvalidToken(TokenError::WrongSignature)
        );
    }
}

#[tokio::test]
async fn a_short_rsa_key_is_ignored_even_if_the_issuer_publishes_it() {
    // aws-lc-rs cannot generate a 1024-bit key, but a modulus of that size is enough for this test.
    let idp = TestIssuer::start_with(TestAlgorithm::Rs256).await.expect("an issuer");
    let long = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let modulus = long.public_key().modulus().big_endian_without_leading_zero().to_vec();
    let short = json!({
        "kty": "RSA", "alg": "RS256", "kid": "short", "e": "AQAB", "n": encode(&modulus[..128]),
    });
    let mut keys: Value = serde_json::from_str(&idp.jwks()).expect("JSON");
    keys["keys"].as_array_mut().expect("a list").push(short.clone());
    let issuer = idp.issuer().jwks(keys.to_string());
    let built = StepUp::builder().issuer(issuer).build().await;
    assert!(built.is_ok(), "the other key is used");
    let alone = idp.issuer().jwks(json!({"keys": [short]}).to_string());
    let error = StepUp::builder().issuer(alone).build().await.expect_err("no key is left");
    assert!(format!("{error:?}").contains("2048 to 8192 bits"), "{error:?}");
}

#[tokio::test]
async fn huge_and_random_headers_are_refused_without_a_panic() {
    let api = api(TestAlgorithm::Es256).await;
    let token = api.token().mint();
    let mut headers: Vec<Vec<u8>> = vec![
        format!("Bearer {}", "a".repeat(1 << 20)).into_bytes(),
        format!("Bearer {}", ".".repeat(1 << 16)).into_bytes(),
        format!("Bearer {}.{}.{}", "a".repeat(5000), "b".repeat(5000), "c".repeat(5000))
            .into_bytes(),
        format!("Bearer {}", encode("{\"a\":".repeat(3000))).into_bytes(),
        b"Bearer \xff\xfe".to_vec(),
    ];
    // A simple generator with a fixed seed: the same bytes on every run.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..5000 {
        let mut bytes = token.clone().into_bytes();
        for _ in 0..1 + random() % 3 {
            let index = usize::try_from(random()).unwrap_or_default() % bytes.len();
            bytes[index] = u8::try_from(random() % 255 + 1).unwrap_or(1);
        }
        if bytes != token.as_bytes() {
            headers.push([b"Bearer ", &bytes[..]].concat());
        }
    }
    for header in headers {
        let status = api.status(&header).await;
        assert!([400, 401, 431].contains(&status), "{status}");
    }
}
