//! Code that the benchmarks share: settings, the token, and ratios between the cases of one run.
#![expect(clippy::expect_used, reason = "a bench fails by panicking")]

use criterion::Criterion;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs};
use stepup_runtime::testing::TestIssuer;

/// Criterion with one second of warm-up and three seconds of measurement for each case.
pub fn criterion() -> Criterion {
    let criterion = Criterion::default().configure_from_args();
    criterion.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3))
}

/// The token of all benchmarks: the claims of RFC 9068 and claims that IdPs usually add. About 900 bytes with RS256.
pub fn token(idp: &TestIssuer) -> String {
    idp.token()
        .claim("amr", json!(["pwd", "otp", "mfa"]))
        .claim("acr", "urn:bank:acr:2fa")
        .claim("scope", "openid profile payments:read payments:approve")
        .claim("client_id", "0oa1b2c3d4e5f6g7h8i9")
        .claim("sid", "b9a0c1d2-e3f4-4a5b-8c6d-7e8f9a0b1c2d")
        .claim("jti", "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE")
        .mint()
}

/// Prints the time of each case of a group, and its ratio to the first case, which is the baseline. Reads the
/// estimates that criterion wrote in this run. Prints nothing under `cargo test`, where criterion measures nothing.
///
/// # Panics
/// If a case has no result.
pub fn print_ratios(group: &str, cases: &[&str]) {
    // Criterion uses the same arguments: `cargo bench` passes `--bench`, `cargo test` does not.
    let given = |argument| env::args().any(|given| given == argument);
    if !given("--bench") || given("--test") {
        return;
    }
    let base = nanoseconds(group, cases[0]);
    println!("\n{group}: ratios to `{}`", cases[0]);
    for case in cases {
        let time = nanoseconds(group, case);
        println!("  {case:<32} {:>9.3} µs   {:>7.3}", time / 1000.0, time / base);
    }
    println!();
}

fn nanoseconds(group: &str, case: &str) -> f64 {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")),
        PathBuf::from,
    );
    let path = target.join("criterion").join(group).join(case).join("new/estimates.json");
    let text = fs::read_to_string(&path)
        .expect("a result of criterion; the name of a case must not contain spaces");
    let value: Value = serde_json::from_str(&text).expect("criterion's JSON");
    value["median"]["point_estimate"].as_f64().expect("a median")
}
