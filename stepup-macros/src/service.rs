//! Expansion of `service!(…)`: a record in the link section, and a macro name that a crate can define only once.

use crate::attribute::{crate_path, default_runtime, once};
use crate::diagnostics::Errors;
use crate::record;
use crate::value::{Value, pairs};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use std::env;
use std::path::Path;
use stepup_contract::{Suggestion, check_base};

pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut runtime = default_runtime();
    let mut rest = String::new();
    let pairs = pairs(input, &mut errors);
    for pair in once(pairs, &mut errors) {
        let key = pair.key.to_string();
        match key.as_str() {
            "crate" => {
                if let Some(path) = crate_path(pair.value, &mut errors) {
                    runtime = path;
                }
            }
            "unlisted" => {
                const WRITE: &str = "unlisted = \"deny\" or unlisted = \"allow\"";
                if let Some(text) = pair.value.into_text(&mut errors, WRITE) {
                    if matches!(text.value().as_str(), "deny" | "allow") {
                        rest.push_str(&format!(",\"unlisted\":\"{}\"", text.value()));
                    } else {
                        errors.at(text.span(), format!("write {WRITE}"));
                    }
                }
            }
            "base" => {
                if let Some(text) = pair.value.into_text(&mut errors, "base = \"/api\"") {
                    let base = text.value();
                    match check_base(&base) {
                        Err(why) => errors.at(text.span(), why),
                        Ok(()) => rest.push_str(&format!(",\"base\":{}", record::text(&base))),
                    }
                }
            }
            "includes" => {
                let includes = includes(pair.value, &mut errors);
                rest.push_str(&format!(",\"includes\":[{}]", record::scopes(&includes)));
            }
            _ => {
                let suggestion = Suggestion::among(&key, ["unlisted", "base", "includes", "crate"])
                    .or("service! has unlisted, base and includes");
                errors.at(pair.key.span(), format!("unknown key `{key}`{suggestion}"));
            }
        }
    }
    let program = is_program();
    if program && !rest.is_empty() && has_library() {
        errors.at(
            Span::call_site(),
            "integration tests link only the library of this package, and would not see this service!; move \
             service! to src/lib.rs",
        );
    }
    if program {
        rest.push_str(",\"program\":true");
    }
    let head = record::head();
    let service = record::text(&std::env::var("CARGO_PKG_NAME").unwrap_or_default());
    let line = format!("\"service\":{service}{rest}");
    let statics = record::statics(&runtime);
    let private = quote!(#runtime::__private);
    let errors = errors.into_tokens();
    quote! {
        const _: () = {
            const __STEP_UP_RECORD: #private::Record = #private::Record::service(#head, #line);
            #statics
        };

        // Exported macros share one namespace per crate, so a second `service!` is a compile error.
        #[doc(hidden)]
        #[macro_export]
        macro_rules! write_step_up_service_once_per_crate {
            () => {};
        }

        #errors
    }
}

/// The names of packages.
fn includes(value: Value, errors: &mut Errors) -> Vec<String> {
    const WRITE: &str = "includes = [\"billing\"], the names of packages";
    match value {
        Value::List(_, items) if !items.is_empty() => {
            let names = items.into_iter().filter_map(|item| item.into_text(errors, WRITE));
            names.map(|name| name.value()).collect()
        }
        other => {
            errors.at(other.span(), format!("expected a list; write {WRITE}"));
            Vec::new()
        }
    }
}

/// Whether the crate is a program or an integration test. Cargo sets these variables for no library.
fn is_program() -> bool {
    ["CARGO_BIN_NAME", "CARGO_TARGET_TMPDIR"].iter().any(|name| env::var_os(name).is_some())
}

/// Whether the crate is the program of a package that has a library too.
fn has_library() -> bool {
    let Some(folder) = env::var_os("CARGO_MANIFEST_DIR") else { return false };
    let Ok(program) = env::var("CARGO_BIN_NAME") else { return false };
    let folder = Path::new(&folder);
    let example = folder.join("examples").join(&program);
    let is_example = example.is_dir() || example.with_extension("rs").is_file();
    !is_example && folder.join("src/lib.rs").is_file()
}
