//! Expansion of `#[step_up(…)]`: the handler gets a guard as its first argument, and a hidden type
//! that contains its endpoint. The body is not parsed.

use crate::attribute::{self, Attribute, Route};
use crate::diagnostics::Errors;
use crate::keys::Keys;
use crate::record;
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{
    Attribute as Attr, Expr, ExprLit, FnArg, Ident, Lit, Meta, Pat, Signature, Type, Visibility,
};

/// axum accepts 16 arguments, including the guard.
const MAX_ARGUMENTS: usize = 15;

/// clippy accepts this many arguments.
const CLIPPY_ARGUMENTS: usize = 7;

/// A function with an unparsed body.
struct Handler {
    attributes: Vec<Attr>,
    visibility: Visibility,
    signature: Signature,
    body: TokenStream,
}

impl Parse for Handler {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        Ok(Self {
            attributes: input.call(Attr::parse_outer)?,
            visibility: input.parse()?,
            signature: input.parse()?,
            body: input.parse()?,
        })
    }
}

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let attribute = attribute::read(arguments, &mut errors);
    let Ok(handler) = syn::parse2::<Handler>(item.clone()) else {
        errors.at(item_span(&item), "#[step_up] guards a handler; put it on an `async fn`");
        let errors = errors.into_tokens();
        return quote!(#item #errors);
    };
    if !check(&handler, &mut errors) {
        let errors = errors.into_tokens();
        return quote!(#item #errors);
    }
    if attribute.public {
        check_public(&handler.signature, &mut errors);
    }
    let broken = !errors.is_empty();
    let errors = errors.into_tokens();
    let guarded = guard(handler, &attribute, broken);
    quote!(#guarded #errors)
}

/// The first token after the attributes and the visibility.
fn item_span(item: &TokenStream) -> Span {
    let parser = |input: ParseStream<'_>| {
        input.call(Attr::parse_outer)?;
        input.parse::<Visibility>()?;
        let span = input.span();
        input.parse::<TokenStream>()?;
        Ok(span)
    };
    syn::parse::Parser::parse2(parser, item.clone()).unwrap_or_else(|_| item.span())
}

/// Reports functions that cannot be handlers; `false` if a guard would only cause further errors.
fn check(handler: &Handler, errors: &mut Errors) -> bool {
    let Signature { asyncness, fn_token, inputs, ident, .. } = &handler.signature;
    let mut sound = true;
    if asyncness.is_none() {
        errors.at(fn_token.span, format!("a handler is async; write `async fn {ident}`"));
        sound = false;
    }
    if let Some(FnArg::Receiver(receiver)) = inputs.first() {
        errors.over(
            receiver,
            "a handler is a free function; move it out of the impl and take the state with \
             State<…>",
        );
        sound = false;
    } else if let Some(span) = mentions_self(&handler.signature) {
        errors.at(
            span,
            "a handler is a free function and has no `Self`; move it out of the impl and name the \
             type",
        );
        sound = false;
    }
    if let Some(extra) = inputs.iter().nth(MAX_ARGUMENTS) {
        errors.over(
            extra,
            format!(
                "a guarded handler takes at most {MAX_ARGUMENTS} arguments, because axum accepts 16 \
                 and the guard is one; put several extractors into a tuple"
            ),
        );
        sound = false;
    }
    for duplicate in handler.attributes.iter().filter(|attr| last_segment(attr) == "step_up") {
        errors.over(duplicate, "duplicate #[step_up]; write one attribute with all keys");
        sound = false;
    }
    sound
}

/// The first `Self` in a signature.
fn mentions_self(signature: &Signature) -> Option<Span> {
    struct Finder(Option<Span>);
    impl<'ast> Visit<'ast> for Finder {
        fn visit_ident(&mut self, ident: &'ast Ident) {
            if ident == "Self" {
                self.0.get_or_insert(ident.span());
            }
        }
    }
    let mut finder = Finder(None);
    finder.visit_signature(signature);
    finder.0
}

fn guard(handler: Handler, attribute: &Attribute, broken: bool) -> TokenStream {
    let Handler { mut attributes, visibility, mut signature, body } = handler;
    let runtime = &attribute.runtime;
    let private = quote!(#runtime::__private);
    let name = signature.ident.unraw().to_string();
    let hidden = hidden_name(&name, was_rewritten(&signature));
    let conditions: Vec<Attr> =
        attributes.iter().filter(|attr| attr.path().is_ident("cfg")).cloned().collect();

    give_state(&mut attributes, &signature, runtime);
    let allow = (signature.inputs.len() == CLIPPY_ARGUMENTS)
        .then(|| quote!(#[allow(clippy::too_many_arguments, reason = "the guard is one of them")]));
    let argument: FnArg = syn::parse_quote!(_: #private::Guard<#hidden>);
    signature.inputs.insert(0, argument);

    let summary = summary(&attributes);
    let endpoint = endpoint(&hidden, &name, summary.as_deref(), attribute, broken);
    quote! {
        #(#attributes)*
        #allow
        #visibility #signature #body

        #(#conditions)*
        #[doc(hidden)]
        #[allow(non_camel_case_types, reason = "named after the handler")]
        #visibility struct #hidden;

        #(#conditions)*
        #endpoint
    }
}

/// The traits of the hidden type and the statics of its record.
fn endpoint(
    hidden: &Ident,
    name: &str,
    summary: Option<&str>,
    attribute: &Attribute,
    broken: bool,
) -> TokenStream {
    let Attribute { route, policy, runtime, .. } = attribute;
    let private = quote!(#runtime::__private);
    let head = record::head();
    let route_text = route.as_ref().map(Route::text).unwrap_or_default();
    let after = format!("::{name}\",{}", record::summary(summary));
    // If there are errors, the policy may not be an expression.
    let nothing = record::policy(&Keys::default(), runtime);
    let (items, policy) = match broken {
        true => (None, &nothing),
        false => (Some(&policy.items), &policy.expression),
    };
    let statics = record::statics(runtime);
    let routed = quote!(impl #private::Routed for #hidden {});
    let unrouted = quote!(impl #private::Unrouted for #hidden {});
    let marker = match (broken, route) {
        // Both, so that `routes!` does not report a second error.
        (true, _) => quote!(#routed #unrouted),
        (false, Some(_)) => routed,
        (false, None) => unrouted,
    };
    quote! {
        const _: () = {
            #items
            const __STEP_UP_RECORD: #private::Record = #private::Record::new(
                #head,
                #route_text,
                ::core::concat!("\"handler\":\"", ::core::module_path!(), #after),
                #policy,
            );
            #statics
            static __STEP_UP_SLOT: #private::Slot = #private::Slot::new(&__STEP_UP_LINE);

            impl #private::GuardedEndpoint for #hidden {
                const RECORD: #private::Record = __STEP_UP_RECORD;

                fn slot() -> &'static #private::Slot {
                    &__STEP_UP_SLOT
                }
            }

            #marker
        };
    }
}

/// The first line of the doc comment.
fn summary(attributes: &[Attr]) -> Option<String> {
    attributes.iter().filter(|attr| attr.path().is_ident("doc")).find_map(|attr| {
        let Meta::NameValue(pair) = &attr.meta else { return None };
        let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &pair.value else { return None };
        let text = text.value();
        text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
    })
}

/// Reports arguments that a public endpoint cannot provide.
fn check_public(signature: &Signature, errors: &mut Errors) {
    for argument in &signature.inputs {
        if let FnArg::Typed(argument) = argument
            && let Type::Path(path) = &*argument.ty
            && path.path.segments.last().is_some_and(|last| last.ident == "Principal")
        {
            errors.over(
                &argument.ty,
                "a public endpoint may have no caller; take Option<Principal>, or require a token with \
                 trust = \"standard\"",
            );
        }
    }
}

/// `approve_all` → `__StepUpApproveAll`. Any name that is not plain snake case stays unchanged, so
/// that two handlers of one module never share a type.
fn hidden_name(handler: &str, rewritten: bool) -> Ident {
    let plain = handler.split('_').all(|word| word.starts_with(|c: char| c.is_ascii_lowercase()));
    let mut name = String::from("__StepUp");
    if plain && !handler.contains(|c: char| c.is_ascii_uppercase()) {
        for word in handler.split('_') {
            name.push_str(&word[..1].to_ascii_uppercase());
            name.push_str(&word[1..]);
        }
    } else {
        name.push('_');
        name.push_str(handler);
    }
    if rewritten {
        // `#[debug_handler]` above this attribute reports an unexpected argument and prints the guard's type: the
        // only place for a hint.
        name.push_str("__put_debug_handler_below_step_up");
    }
    format_ident!("{name}", span = Span::call_site())
}

/// Whether another attribute macro generated this function: generated parentheses have one span for both ends. Spans
/// can be compared only in their `Debug` form; if that form has no position, the result is `false`.
fn was_rewritten(signature: &Signature) -> bool {
    let paren = signature.paren_token.span;
    let (open, close) = (format!("{:?}", paren.open()), format!("{:?}", paren.close()));
    open == close && open.contains("bytes(")
}

/// Gives a bare `#[debug_handler]` a state. Its default state is `()`, which contains no `StepUp`.
fn give_state(attributes: &mut [Attr], signature: &Signature, runtime: &TokenStream) {
    if signature.inputs.iter().any(takes_state) {
        return;
    }
    for attribute in attributes.iter_mut().filter(|attr| last_segment(attr) == "debug_handler") {
        if let Meta::Path(path) = &attribute.meta {
            *attribute = syn::parse_quote!(#[#path(state = #runtime::StepUp)]);
        }
    }
}

/// `State(s): State<S>`, as axum's debug_handler recognises it.
fn takes_state(argument: &FnArg) -> bool {
    let FnArg::Typed(argument) = argument else { return false };
    let by_type = match &*argument.ty {
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == "State"),
        _ => false,
    };
    by_type && !matches!(&*argument.pat, Pat::Rest(_))
}

fn last_segment(attribute: &Attr) -> String {
    let path = attribute.path();
    path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default()
}
