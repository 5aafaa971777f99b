//! The attribute's arguments: route, trust, requirement or policy, and the path of the runtime crate.

use crate::diagnostics::Errors;
use crate::keys::{KEYS, Keys};
use crate::value::{Pair, Value, pairs};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use std::collections::HashSet;
use stepup_contract::{HttpMethod, Requirement, Suggestion, Trust, check_path};
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
    pub(crate) security: Security,
    pub(crate) runtime: TokenStream,
}

/// The route in the attribute.
pub(crate) struct Route {
    pub(crate) method: Option<HttpMethod>,
    pub(crate) path: String,
}

/// The requirement, or the path of the policy that contains it.
pub(crate) enum Security {
    Requirement(Requirement),
    Policy(Path),
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
    let mut standard: Option<Span> = None;
    let mut policy: Option<Path> = None;
    let mut together: Vec<Ident> = Vec::new();
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
            "trust" => {
                together.push(pair.key);
                standard = trust(pair.value, errors);
            }
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
                if keys.read(pair, errors) {
                    together.push(key);
                } else {
                    errors.at(span, unknown(&name));
                }
            }
        }
    }

    let security = if let Some(path) = policy {
        for other in together {
            let message = format!(
                "`policy` is a complete requirement; remove `{other}`, or move it into the policy"
            );
            errors.at(other.span(), message);
        }
        Security::Policy(path)
    } else {
        let trust = if standard.is_some() { Trust::Standard } else { Trust::Sensitive };
        keys.check(trust, errors);
        // An attribute with errors may have lost its requirement, so this check needs an attribute without errors.
        if trust == Trust::Sensitive && !keys.requires_step_up() && errors.is_empty() {
            errors.at(
                Span::call_site(),
                "a sensitive endpoint requires methods, acr or max_age; write #[step_up(methods = [\"mfa\"], \
                 max_age = 300)], or trust = \"standard\" if a valid token is enough",
            );
        }
        Security::Requirement(keys.requirement)
    };
    Attribute { route, security, runtime }
}

/// The message for a key that the attribute does not have.
fn unknown(name: &str) -> String {
    let keys = ROUTES.iter().map(|(key, _)| *key).chain(KEYS).chain(["trust", "policy", "crate"]);
    let all: Vec<&str> = keys.collect();
    let suggestion = Suggestion::among(name, all.iter().copied())
        .or(format_args!("the keys are {}", all.join(", ")));
    format!("unknown key `{name}`{suggestion}")
}

/// `Some(span)` for a standard endpoint.
fn trust(value: Value, errors: &mut Errors) -> Option<Span> {
    let text = value.into_text(errors, "trust = \"standard\" or trust = \"sensitive\"")?;
    match text.value().as_str() {
        "standard" => Some(text.span()),
        "sensitive" => None,
        other => {
            let suggestion = Suggestion::among(other, ["standard", "sensitive"])
                .or("write \"standard\" or \"sensitive\"");
            errors.at(text.span(), format!("unknown trust `{other}`{suggestion}"));
            None
        }
    }
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
