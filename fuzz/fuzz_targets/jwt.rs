//! Malformed tokens, and correctly signed tokens with arbitrary claims. None causes a panic, and every
//! accepted token states the required method and a recent authentication time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use stepup_fuzz::{API, NOW};

fuzz_target!(|data: (bool, &[u8])| {
    let (raw, bytes) = data;
    let token = if raw {
        format!("Bearer {}", String::from_utf8_lossy(bytes))
    } else {
        // A signed token whose payload is the issuer's claims, followed by the fuzzer's input.
        let url = API.idp.url();
        let extra = String::from_utf8_lossy(bytes);
        let payload = format!(
            "{{\"iss\":\"{url}\",\"aud\":\"https://api.test\",\"sub\":\"a\",\"exp\":4000000000,{extra}}}"
        );
        format!("Bearer {}", API.idp.token_at(NOW).mint_payload(payload.as_bytes()))
    };
    let Some(result) = API.call(token.as_bytes(), "/") else { return };
    let Ok(principal) = result else { return };
    assert!(!raw, "only the issuer can sign tokens");
    let principal = principal.expect("the endpoint is not public");
    let claims: Value = principal.claims().expect("claims are JSON");
    let amr = claims["amr"].as_array().expect("an allowed token states its methods");
    assert!(amr.iter().any(|method| method == "mfa"));
    let time = claims["auth_time"].as_f64().expect("an allowed token states its time");
    assert!(time >= (NOW - 300) as f64 && time <= (NOW + 31) as f64, "{time}");
});
