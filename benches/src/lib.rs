//! What the benches share: ratios between the cases of one run.
#![expect(clippy::expect_used, reason = "a bench fails by panicking")]

use criterion::Criterion;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs};

/// Criterion with a second of warming up and three of measuring for each case.
pub fn criterion() -> Criterion {
    let criterion = Criterion::default().configure_from_args();
    criterion.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3))
}

/// Prints what each case of a group costs, and its ratio to the first, which does the same work
/// without what is measured. Reads what criterion has just written.
///
/// # Panics
/// When a case has no result.
pub fn print_ratios(group: &str, cases: &[&str]) {
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
    let text = fs::read_to_string(&path).expect("a result; names of cases have no spaces");
    let value: Value = serde_json::from_str(&text).expect("criterion's JSON");
    value["median"]["point_estimate"].as_f64().expect("a median")
}
