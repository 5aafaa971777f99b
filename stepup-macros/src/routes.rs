//! Expansion of `routes![…]`: one call of the runtime per handler, and the record of each handler whose route is in
//! the list.

use crate::attribute::{self, Route, default_runtime};
use crate::diagnostics::Errors;
use crate::record;
use crate::value::{Value, split};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Expr, Ident, LitStr, Path, Token};

/// One element of the list.
enum Element {
    /// `crate = path`
    Runtime(Path),
    /// `handler`
    Handler(Expr),
    /// `POST "/path" => handler`
    Late { method: Ident, path: LitStr, handler: Expr },
}

fn element(input: ParseStream<'_>) -> syn::Result<Element> {
    if input.peek(Token![crate]) && input.peek2(Token![=]) {
        input.parse::<Token![crate]>()?;
        input.parse::<Token![=]>()?;
        return input.call(Path::parse_mod_style).map(Element::Runtime);
    }
    if !(input.peek(Ident) && input.peek2(LitStr)) {
        if input.peek(LitStr) {
            return Err(input.error("missing method; write POST \"/path\" => handler"));
        }
        return input.parse().map(Element::Handler);
    }
    let method = input.parse()?;
    let path: LitStr = input.parse()?;
    if !input.peek(Token![=>]) {
        let message = format!("missing handler; write {method} \"{}\" => handler", path.value());
        return Err(syn::Error::new(path.span(), message));
    }
    input.parse::<Token![=>]>()?;
    let handler = input.parse()?;
    Ok(Element::Late { method, path, handler })
}

pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut runtime = default_runtime();
    let mut mounts = Vec::new();
    for tokens in split(input) {
        match element.parse2(tokens) {
            Ok(Element::Runtime(path)) => runtime = path.into_token_stream(),
            Ok(other) => mounts.push(other),
            Err(error) => errors.push(error),
        }
    }
    let private = quote!(#runtime::__private);
    // Hygienic, because a handler may be called `router`.
    let router = Ident::new("router", Span::mixed_site());
    let mounts: Vec<TokenStream> = mounts
        .into_iter()
        .filter_map(|element| match element {
            Element::Handler(handler) => Some(quote! {
                let #router = #private::mount(#router, #handler);
            }),
            Element::Late { method, path, handler } => {
                late(&runtime, &router, (&method, path), &handler, &mut errors)
            }
            Element::Runtime(_) => None,
        })
        .collect();
    let errors = errors.into_tokens();
    quote! {{
        #errors
        let #router = #private::router();
        #(#mounts)*
        #router
    }}
}

/// A handler whose route is in the list: its record with this route, and the mount.
fn late(
    runtime: &TokenStream,
    router: &Ident,
    (method, path): (&Ident, LitStr),
    handler: &Expr,
    errors: &mut Errors,
) -> Option<TokenStream> {
    let private = quote!(#runtime::__private);
    let http_method = attribute::http_method(method, errors);
    let path = attribute::path(Value::Text(path), errors);
    let route = Route { method: http_method?, path: path? };
    let text = route.text();
    let statics = record::statics(runtime);
    let reference = quote_spanned!(handler.span()=> &#handler);
    Some(quote! {
        let #router = {
            const __STEP_UP_RECORD: #private::Record = #private::record_of(#reference).at(#text);
            #statics
            #private::mount_at(#router, #handler, &__STEP_UP_LINE)
        };
    })
}
