//! Expansion of `policy! { pub NAME: methods = ["mfa"], max_age = 300 }`: a constant with the
//! requirement as JSON text, which becomes part of the endpoint's record.

use crate::attribute::{crate_path, default_runtime, once};
use crate::diagnostics::Errors;
use crate::keys::{KEYS, Keys};
use crate::record;
use crate::value::pairs;
use proc_macro2::TokenStream;
use quote::quote;
use stepup_contract::Suggestion;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Ident, Token, Visibility};

/// `/// docs pub NAME: key = value, …`
struct Item {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    name: Ident,
    keys: TokenStream,
}

impl Parse for Item {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let name: Ident = input.parse()?;
        if !input.peek(Token![:]) {
            let message = format!("write the requirement after a colon: {name}: max_age = 300");
            return Err(syn::Error::new(name.span(), message));
        }
        input.parse::<Token![:]>()?;
        Ok(Self { attributes, visibility, name, keys: input.parse()? })
    }
}

pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let Item { attributes, visibility, name, keys: tokens } = match syn::parse2(input) {
        Ok(item) => item,
        Err(error) => return error.into_compile_error(),
    };
    let mut errors = Errors::default();
    let mut keys = Keys::default();
    let mut runtime = default_runtime();
    let pairs = pairs(tokens, &mut errors);
    for pair in once(pairs, &mut errors) {
        let key = pair.key.clone();
        if key == "crate" {
            if let Some(path) = crate_path(pair.value, &mut errors) {
                runtime = path;
            }
        } else if !keys.read(pair, &mut errors) {
            let suggestion = Suggestion::among(&key.to_string(), KEYS)
                .or(format_args!("a policy has {}", KEYS.join(", ")));
            errors.at(key.span(), format!("unknown key `{key}`{suggestion}"));
        }
    }
    keys.check(
        name.span(),
        "a sensitive policy requires methods, acr or max_age; write PAYMENTS: methods = [\"mfa\"], or \
         trust = \"standard\" if a valid token is enough",
        &mut errors,
    );
    let policy = record::policy(&keys, &runtime);
    let errors = errors.into_tokens();
    quote! {
        #(#attributes)*
        #visibility const #name: #runtime::__private::Policy = #policy;
        #errors
    }
}
