//! What the macros say to a mistake, to the letter and to the token, and what they accept.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

/// Runs under `cargo check`, which is where an editor shows mistakes.
#[test]
fn each_mistake_is_a_compile_error_at_its_token() {
    trybuild::TestCases::new().compile_fail("ui/fail/*.rs");
}

#[test]
fn what_handlers_look_like_in_the_wild_compiles_and_runs() {
    trybuild::TestCases::new().pass("ui/pass/*.rs");
}
