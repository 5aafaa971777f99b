//! No Authorization header without a signature of the issuer is let in, and none panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stepup_fuzz::API;

fuzz_target!(|data: (&[u8], &str)| {
    let (header, query) = data;
    if let Some(result) = API.call(header, &format!("/?{query}")) {
        let refusal = result.expect_err("nobody can sign for the issuer");
        assert!(matches!(refusal.status().as_u16(), 400 | 401), "{refusal:?}");
        let _ = (refusal.www_authenticate(), refusal.problem());
    }
});
