//! Enforcement of one token: cold (each call verifies the token) and cached. The baselines are the minimum
//! work of any verifier for the same token: the signature check by aws-lc-rs alone, and the signature check
//! with parsing of header and claims.
#![expect(clippy::expect_used, reason = "a bench fails by panicking")]

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use criterion::Criterion;
use http::Request;
use serde_json::Value;
use std::hint::black_box;
use stepup_benches::{criterion, print_ratios, token};
use stepup_runtime::testing::{TestAlgorithm, TestIssuer};
use stepup_runtime::{Contract, StepUp, TokenCache};
use tokio::runtime::Builder;

const ALGORITHMS: [(&str, TestAlgorithm); 3] = [
    ("verify-RS256", TestAlgorithm::Rs256),
    ("verify-ES256", TestAlgorithm::Es256),
    ("verify-EdDSA", TestAlgorithm::EdDsa),
];

/// Returns whether the signature (second argument) is valid for the message (first argument).
type Check = Box<dyn Fn(&[u8], &[u8]) -> bool>;

/// A signature check with the first key of this key set. The key is parsed in advance.
fn raw(jwks: &str) -> Check {
    let jwks: Value = serde_json::from_str(jwks).expect("JSON");
    let bytes = |name: &str| {
        URL_SAFE_NO_PAD.decode(jwks["keys"][0][name].as_str().expect("text")).expect("base64url")
    };
    let parsed = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
        let key = ParsedPublicKey::new(algorithm, key).expect("a key");
        let check =
            move |message: &[u8], signature: &[u8]| key.verify_sig(message, signature).is_ok();
        Box::new(check) as Box<dyn Fn(&[u8], &[u8]) -> bool>
    };
    match jwks["keys"][0]["kty"].as_str() {
        Some("EC") => {
            parsed(&ECDSA_P256_SHA256_FIXED, &[&[4], &*bytes("x"), &*bytes("y")].concat())
        }
        Some("OKP") => parsed(&ED25519, &bytes("x")),
        _ => {
            let components = RsaPublicKeyComponents { n: bytes("n"), e: bytes("e") };
            let key = components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256);
            let key = key.expect("a key");
            Box::new(move |message, signature| key.verify_sig(message, signature).is_ok())
        }
    }
}

fn benches(c: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let text =
        r#"{"path": "/", "security": {"step-up": true, "methods": ["mfa"], "max-age": 3000}}"#;
    let contract = Contract::parse(text).expect("a contract");
    let endpoint = &contract.endpoints()[0];
    for (name, algorithm) in ALGORITHMS {
        let (cold, cached, jwks, token) = runtime.block_on(async {
            let idp = TestIssuer::start_with(algorithm).await.expect("an issuer");
            let build = |cache| {
                let issuer = idp.issuer().jwks(idp.jwks());
                StepUp::builder().issuer(issuer).token_cache(cache).build()
            };
            let cold = build(TokenCache::off()).await.expect("built");
            let cached = build(TokenCache::default()).await.expect("built");
            (cold, cached, idp.jwks(), token(&idp))
        });
        let (message, encoded) = token.rsplit_once('.').expect("three parts");
        let signature = URL_SAFE_NO_PAD.decode(encoded).expect("base64url");
        let check = raw(&jwks);
        let request = Request::get("/").header("authorization", format!("Bearer {token}"));
        let (head, ()) = request.body(()).expect("a request").into_parts();

        let mut group = c.benchmark_group(name);
        group.bench_function(CASES[0], |b| {
            b.iter(|| assert!(check(black_box(message.as_bytes()), black_box(&signature))));
        });
        group.bench_function(CASES[1], |b| {
            b.iter(|| {
                let (message, signature) = black_box(&token).rsplit_once('.').expect("parts");
                let (header, claims) = message.split_once('.').expect("parts");
                let decode = |part| URL_SAFE_NO_PAD.decode(part).expect("base64url");
                let header: Value = serde_json::from_slice(&decode(header)).expect("JSON");
                let claims: Value = serde_json::from_slice(&decode(claims)).expect("JSON");
                assert!(check(message.as_bytes(), &decode(signature)));
                (header, claims)
            });
        });
        for (case, step_up) in [(CASES[2], &cold), (CASES[3], &cached)] {
            group.bench_function(case, |b| {
                b.iter(|| {
                    let result =
                        runtime.block_on(step_up.enforce(endpoint, black_box(&head).into()));
                    assert!(result.is_ok());
                });
            });
        }
        group.finish();
    }
}

const CASES: [&str; 4] =
    ["raw-signature-check", "raw-check-and-parsing", "cold-enforcement", "cached-enforcement"];

fn main() {
    let mut criterion = criterion();
    benches(&mut criterion);
    criterion.final_summary();
    for (name, _) in ALGORITHMS {
        print_ratios(name, &CASES);
    }
}
