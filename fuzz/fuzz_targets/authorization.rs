//! An Authorization header without a signature of the issuer is refused. No header causes a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stepup_fuzz::API;

fuzz_target!(|data: (&[u8], &str)| {
    let (header, query) = data;
    if let Some(result) = API.call(header, &format!("/?{query}")) {
        let refusal = result.expect_err("only the issuer can sign tokens");
        assert!(matches!(refusal.status().as_u16(), 400 | 401 | 431), "{refusal:?}");
        let _ = (refusal.www_authenticate(), refusal.problem());
    }
});
