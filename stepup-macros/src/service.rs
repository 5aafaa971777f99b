//! Expansion of `service!(…)`: a record in the link section, and a macro name that a crate can define only once.

use crate::attribute::{crate_path, default_runtime, once};
use crate::diagnostics::Errors;
use crate::record;
use crate::value::pairs;
use proc_macro2::TokenStream;
use quote::quote;
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
            _ => {
                let suggestion = Suggestion::among(&key, ["unlisted", "base", "crate"])
                    .or("service! has unlisted and base");
                errors.at(pair.key.span(), format!("unknown key `{key}`{suggestion}"));
            }
        }
    }
    let head = record::head();
    let service = record::text(&std::env::var("CARGO_PKG_NAME").unwrap_or_default());
    let line = format!("\"service\":{service}{rest}");
    let statics = record::statics(&runtime);
    let private = quote!(#runtime::__private);
    let errors = errors.into_tokens();
    quote! {
        const _: () = {
            const __STEP_UP_RECORD: #private::Record = #private::Record::new(#head, "", #line, "");
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
