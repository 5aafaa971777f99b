//! Tests of the public API: contract documents, routing, decisions, and property tests.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

/// A value with these fields replaced. The type is `#[non_exhaustive]`, so struct literals are not available.
macro_rules! with {
    (@assign $value:ident $field:ident) => { $value.$field = $field; };
    (@assign $value:ident $field:ident $new:expr) => { $value.$field = $new; };
    ($base:expr; $($field:ident $(: $new:expr)?),* $(,)?) => {{
        let mut value = $base;
        $( with!(@assign value $field $($new)?); )*
        value
    }};
}

mod allocation;
mod document;
mod matching;
mod path_variants;
mod properties;
