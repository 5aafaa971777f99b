//! Malformed DPoP proofs, and correctly signed proofs with arbitrary claims. None causes a panic, and every
//! accepted proof was created recently for this request.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;
use stepup_fuzz::{API, NOW, RESOURCE};
use stepup_runtime::testing::{TestAlgorithm, TestHolder};

static HOLDER: LazyLock<(TestHolder, String)> = LazyLock::new(|| {
    let holder = TestHolder::new(TestAlgorithm::EdDsa).expect("a key");
    let token = API.idp.token_at(NOW).claim("amr", json!(["mfa"])).bound_to(&holder).mint();
    (holder, token)
});

fuzz_target!(|data: (bool, &[u8])| {
    let (raw, bytes) = data;
    let (holder, token) = &*HOLDER;
    let url = format!("{RESOURCE}/");
    let changes = match serde_json::from_slice::<Map<String, Value>>(bytes) {
        Ok(changes) if !raw => changes,
        _ => Map::new(),
    };
    let mut proof = holder.proof("GET", &url, token).claim("iat", NOW);
    for (name, value) in &changes {
        proof = match name.strip_prefix("header.") {
            Some(name) => proof.header(name, value.clone()),
            None => proof.claim(name, value.clone()),
        };
    }
    let signed = proof.sign().into_bytes();
    let proof = if raw { bytes } else { &signed };
    let authorization = format!("DPoP {token}");
    let headers = [("authorization", authorization.as_bytes()), ("dpop", proof)];
    let Some(Ok(_)) = API.call_with("/", &headers) else { return };
    assert!(!raw, "only the holder can sign proofs");
    for (name, value) in &changes {
        let harmless = match name.as_str() {
            "htm" => value == "GET",
            "htu" => value.as_str().is_some_and(|htu| htu.to_lowercase().starts_with("https:")),
            "ath" => false,
            "iat" => value.as_f64().is_some_and(|iat| (iat - NOW as f64).abs() <= 61.0),
            "jti" => value.as_str().is_some_and(|jti| !jti.is_empty()),
            "header.typ" => {
                value.as_str().is_some_and(|typ| typ.to_lowercase().ends_with("dpop+jwt"))
            }
            "header.alg" => value == "EdDSA",
            "header.crit" | "header.b64" | "header.zip" | "header.enc" => value.is_null(),
            _ => true,
        };
        assert!(harmless, "{name}: {value}");
    }
});
