//! `key = value` lists: the grammar that the attribute, `policy!` and `service!` share. A value of a wrong type parses
//! too, so that the error can say what to write.

use crate::diagnostics::Errors;
use proc_macro2::{Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Ident, Lit, LitStr, Path, Token, bracketed, parenthesized, token};

/// `key = value`.
pub(crate) struct Pair {
    pub(crate) key: Ident,
    pub(crate) value: Value,
}

/// The value after `=`.
pub(crate) enum Value {
    Text(LitStr),
    Literal(Lit),
    /// `-1`
    Negative(Span),
    /// `["a", "b"]`
    List(Span, Vec<Value>),
    /// `any("a")`, `risk(deny = "high")`
    Call(Ident, Span, Vec<Argument>),
    /// `any["a"]`, which no key takes.
    Indexed(Ident, TokenStream),
    Path(Path),
    /// Anything else.
    Other(Span),
}

/// One argument of a call.
pub(crate) enum Argument {
    Pair(Pair),
    Value(Value),
}

impl Value {
    pub(crate) fn span(&self) -> Span {
        match self {
            Self::Text(text) => text.span(),
            Self::Literal(literal) => literal.span(),
            Self::Path(path) => path.span(),
            Self::Indexed(name, _) => name.span(),
            Self::Negative(span)
            | Self::List(span, _)
            | Self::Call(_, span, _)
            | Self::Other(span) => *span,
        }
    }

    pub(crate) fn into_text(self, errors: &mut Errors, write: &str) -> Option<LitStr> {
        match self {
            Self::Text(text) => Some(text),
            other => {
                errors.at(other.span(), format!("expected a string; write {write}"));
                None
            }
        }
    }
}

/// Parses `key = value, …`. After an error, parsing continues after the next comma.
pub(crate) fn pairs(tokens: TokenStream, errors: &mut Errors) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for tokens in split(tokens) {
        match pair.parse2(tokens) {
            Ok(pair) => pairs.push(pair),
            Err(error) => errors.push(error),
        }
    }
    pairs
}

/// Splits at commas outside brackets and outside `<…>`.
pub(crate) fn split(tokens: TokenStream) -> Vec<TokenStream> {
    let mut parts = vec![Vec::new()];
    let (mut angles, mut previous) = (0_u32, ' ');
    for tree in tokens {
        let mut punct = ' ';
        if let TokenTree::Punct(p) = &tree {
            punct = p.as_char();
            match punct {
                '<' => angles += 1,
                '>' if !matches!(previous, '-' | '=') => angles = angles.saturating_sub(1),
                ',' if angles == 0 => {
                    parts.push(Vec::new());
                    previous = punct;
                    continue;
                }
                _ => {}
            }
        }
        previous = punct;
        if let Some(part) = parts.last_mut() {
            part.push(tree);
        }
    }
    parts.into_iter().filter(|part| !part.is_empty()).map(TokenStream::from_iter).collect()
}

fn pair(input: ParseStream<'_>) -> syn::Result<Pair> {
    let key = Ident::parse_any(input)?;
    if input.is_empty() {
        // The reader of the key says what to write.
        let value = Value::Other(key.span());
        return Ok(Pair { key, value });
    }
    if !input.peek(Token![=]) {
        let message = format!("expected a value; write `{key} = …`");
        return Err(syn::Error::new(key.span(), message));
    }
    input.parse::<Token![=]>()?;
    if input.is_empty() {
        let message = format!("`{key} =` has no value");
        return Err(syn::Error::new(key.span(), message));
    }
    let value = value(input)?;
    if !input.is_empty() {
        return Err(input.error("expected `,`"));
    }
    Ok(Pair { key, value })
}

fn value(input: ParseStream<'_>) -> syn::Result<Value> {
    if input.peek(Token![-]) && input.peek2(Lit) {
        let minus = input.parse::<Token![-]>()?;
        let literal: Lit = input.parse()?;
        return Ok(Value::Negative(minus.span.join(literal.span()).unwrap_or(literal.span())));
    }
    if input.peek(LitStr) {
        return input.parse().map(Value::Text);
    }
    if input.peek(Lit) {
        return input.parse().map(Value::Literal);
    }
    if input.peek(token::Bracket) {
        let content;
        let bracket = bracketed!(content in input);
        let items = content.parse_terminated(value, Token![,])?;
        return Ok(Value::List(bracket.span.join(), items.into_iter().collect()));
    }
    if input.peek(Ident) && input.peek2(token::Paren) {
        let name: Ident = input.parse()?;
        let content;
        let paren = parenthesized!(content in input);
        let arguments = content.parse_terminated(argument, Token![,])?;
        let span = name.span().join(paren.span.join()).unwrap_or(name.span());
        return Ok(Value::Call(name, span, arguments.into_iter().collect()));
    }
    if input.peek(Ident) && input.peek2(token::Bracket) {
        let name = input.parse()?;
        let content;
        bracketed!(content in input);
        return Ok(Value::Indexed(name, content.parse()?));
    }
    if input.peek(Ident) || input.peek(Token![::]) || input.peek(Token![crate]) {
        return input.call(Path::parse_mod_style).map(Value::Path);
    }
    if input.peek(Token![self]) || input.peek(Token![super]) {
        return input.call(Path::parse_mod_style).map(Value::Path);
    }
    let other: TokenTree = input.parse()?;
    Ok(Value::Other(other.span()))
}

fn argument(input: ParseStream<'_>) -> syn::Result<Argument> {
    if !(input.peek(Ident) && input.peek2(Token![=])) {
        return value(input).map(Argument::Value);
    }
    let key: Ident = input.parse()?;
    input.parse::<Token![=]>()?;
    let value = value(input)?;
    Ok(Argument::Pair(Pair { key, value }))
}
