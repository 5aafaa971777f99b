//! The attribute's arguments: route, trust, requirement or policy, and the path of the runtime crate.

use crate::diagnostics::Errors;
use crate::keys::{KEYS, Keys};
use crate::record;
use crate::value::{Pair, Value, pairs};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use std::collections::HashSet;
use stepup_contract::{HttpMethod, Method, Suggestion, Trust, check_path};
use syn::spanned::Spanned;
use syn::{Ident, LitStr, Path};

/// The keys that give a route, with the HTTP method of each; `any` matches every method.
const ROUTES: [(&str, Option<HttpMethod>); 8] = [
    ("get", Some(HttpMethod::Get)),
    ("post", Some(HttpMethod::Post)),
    ("put", Some(HttpMethod::Put)),
    ("patch", Some(HttpMethod::Patch)),
    ("delete", Some(HttpMethod::Delete)),
    ("head", Some(HttpMethod::Head)),
    ("options", Some(HttpMethod::Options)),
    ("any", None),
];

/// The parsed arguments.
pub(crate) struct Attribute {
    pub(crate) route: Option<Route>,
    /// The requirement: a `Policy` expression, and the items that it needs.
    pub(crate) policy: Policy,
    /// Whether the attribute itself declares the endpoint public.
    pub(crate) public: bool,
    pub(crate) runtime: TokenStream,
}

/// A `Policy` expression, and the items that it needs.
#[derive(Default)]
pub(crate) struct Policy {
    pub(crate) expression: TokenStream,
    pub(crate) items: TokenStream,
}

/// The route in the attribute.
pub(crate) struct Route {
    pub(crate) method: Option<HttpMethod>,
    pub(crate) path: String,
}

impl Route {
    /// The route in the endpoint's record.
    pub(crate) fn text(&self) -> String {
        record::route(self.method, &self.path)
    }
}

/// The default path of the runtime crate.
pub(crate) fn default_runtime() -> TokenStream {
    quote!(::stepup_runtime)
}

/// Parses the arguments. Errors go to `errors`; the rest stays usable, so that the handler is guarded and mountable
/// while its author fixes the attribute.
pub(crate) fn read(arguments: TokenStream, errors: &mut Errors) -> Attribute {
    let mut keys = Keys::default();
    let mut seen: HashSet<String> = HashSet::new();
    let mut route: Option<Route> = None;
    let mut routed_by: Option<Ident> = None;
    let mut policy: Option<Path> = None;
    // The keys that `policy` replaces.
    let mut replaced: Vec<Ident> = Vec::new();
    let mut runtime = default_runtime();

    for pair in pairs(arguments, errors) {
        let name = pair.key.to_string();
        if !seen.insert(name.clone()) {
            errors.at(pair.key.span(), format!("duplicate key `{name}`; remove one"));
            continue;
        }
        if let Some((_, method)) = ROUTES.iter().find(|(key, _)| *key == name) {
            if let Some(first) = &routed_by {
                let message = format!(
                    "a handler has one route, and this handler has `{first}`; write a second handler for \
                     `{name}`"
                );
                errors.at(pair.key.span(), message);
                continue;
            }
            routed_by = Some(pair.key);
            route = path(pair.value, errors).map(|path| Route { method: *method, path });
            continue;
        }
        match name.as_str() {
            "policy" => match pair.value {
                Value::Path(path) => policy = Some(path),
                other => errors.at(
                    other.span(),
                    "expected the path of a policy! item; write policy = PAYMENTS",
                ),
            },
            "crate" => {
                if let Some(path) = crate_path(pair.value, errors) {
                    runtime = path;
                }
            }
            _ => {
                let (key, span) = (pair.key.clone(), pair.key.span());
                if !keys.read(pair, errors) {
                    errors.at(span, unknown(&name));
                } else if name != "scopes" {
                    replaced.push(key);
                }
            }
        }
    }

    let public = policy.is_none() && keys.trust() == Trust::Public;
    let policy = if let Some(path) = policy {
        // A refused key would break other rules, too, and its author would get two errors.
        if replaced.is_empty() {
            keys.check_rules(errors);
        }
        for other in replaced {
            let message = format!(
                "`policy` is a complete requirement; remove `{other}`, or move it into the policy"
            );
            errors.at(other.span(), message);
        }
        shared_policy(&path, &keys, &runtime)
    } else {
        keys.check(
            Span::call_site(),
            "a sensitive endpoint requires methods, acr or max_age; write #[step_up(methods = [\"mfa\"], \
             max_age = 300)], or trust = \"standard\" if a valid token is enough",
            errors,
        );
        Policy { expression: record::policy(&keys, &runtime), ..Policy::default() }
    };
    Attribute { route, policy, public, runtime }
}

/// An item of `policy!`, with the scopes that the endpoint requires in addition. The compiler evaluates whether the
/// policy permits them.
fn shared_policy(path: &Path, keys: &Keys, runtime: &TokenStream) -> Policy {
    let span = path.span();
    let shared = quote_spanned! {span=>
        const __STEP_UP_POLICY: #runtime::__private::Policy = #path;
    };
    if keys.requirement.scopes.is_empty() {
        return Policy { expression: quote!(__STEP_UP_POLICY), items: shared };
    }
    let checks = keys.scopes().map(|(scope, span)| {
        let scope = record::text(scope);
        quote_spanned! {span=>
            const _: () = ::core::assert!(
                !__STEP_UP_POLICY.requires_scope(#scope),
                "the policy already requires this scope; remove the scope here"
            );
        }
    });
    let public = quote_spanned! {span=>
        const _: () = ::core::assert!(
            !__STEP_UP_POLICY.is_public(),
            "a public endpoint requires no scopes; remove the scopes, or use another policy"
        );
    };
    let scopes = record::scopes(&keys.requirement.scopes);
    Policy {
        expression: quote!(__STEP_UP_POLICY.with_scopes(#scopes)),
        items: quote!(#shared #public #(#checks)*),
    }
}

/// The message for a key that the attribute does not have.
fn unknown(name: &str) -> String {
    if matches!(name, "path" | "route" | "uri" | "url" | "method") {
        return format!("unknown key `{name}`; write the route as post = \"/path\"");
    }
    if name.parse::<Method>().is_ok() {
        return format!("unknown key `{name}`; write methods = [\"{name}\"]");
    }
    let keys = ROUTES.iter().map(|(key, _)| *key).chain(KEYS).chain(["policy", "crate"]);
    let all: Vec<&str> = keys.collect();
    let suggestion = Suggestion::among(name, all.iter().copied())
        .or(format_args!("the keys are {}", all.join(", ")));
    format!("unknown key `{name}`{suggestion}")
}

/// A path template.
pub(crate) fn path(value: Value, errors: &mut Errors) -> Option<String> {
    let text: LitStr = value.into_text(errors, "the path, as in \"/transfers/{id}\"")?;
    match check_path(&text.value()) {
        Ok(()) => Some(text.value()),
        Err(why) => {
            errors.at(text.span(), why);
            None
        }
    }
}

/// The path in `crate = "path"`.
pub(crate) fn crate_path(value: Value, errors: &mut Errors) -> Option<TokenStream> {
    const WRITE: &str = "crate = \"path::to::stepup_runtime\"";
    let text = value.into_text(errors, WRITE)?;
    match text.parse_with(Path::parse_mod_style) {
        Ok(path) => Some(quote!(#path)),
        Err(_) => {
            errors.at(text.span(), format!("not a path; write {WRITE}"));
            None
        }
    }
}

/// The HTTP method of a route in `routes!`; `Some(None)` is any method.
pub(crate) fn http_method(name: &Ident, errors: &mut Errors) -> Option<Option<HttpMethod>> {
    let text = name.to_string();
    if text == "ANY" {
        return Some(None);
    }
    match text.parse::<HttpMethod>() {
        Ok(method) => Some(Some(method)),
        Err(why) => {
            errors.at(name.span(), why);
            None
        }
    }
}

/// The pairs without duplicate keys, for `policy!` and `service!`.
pub(crate) fn once(pairs: Vec<Pair>, errors: &mut Errors) -> Vec<Pair> {
    let mut seen = HashSet::new();
    pairs
        .into_iter()
        .filter(|pair| {
            let name = pair.key.to_string();
            let first = seen.insert(name.clone());
            if !first {
                errors.at(pair.key.span(), format!("duplicate key `{name}`; remove one"));
            }
            first
        })
        .collect()
}
