//! The keys that the attribute and `policy!` share: trust, reason and requirement, checked with the contract's rules.
//! Errors are reported at the tokens that cause them.

use crate::diagnostics::Errors;
use crate::value::{Argument, Pair, Value};
use proc_macro2::Span;
use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;
use stepup_contract::{Field, Method, Requirement, RiskLevel, RiskRule, Suggestion, Trust};
use syn::{Lit, LitInt, LitStr};

/// The keys that the attribute and `policy!` share.
pub(crate) const KEYS: [&str; 9] =
    ["methods", "acr", "max_age", "scopes", "risk", "per_action", "bound", "trust", "reason"];

/// What an endpoint requires, with the span of each field and list element.
#[derive(Default)]
pub(crate) struct Keys {
    pub(crate) requirement: Requirement,
    trust: Option<Trust>,
    reason: Option<LitStr>,
    spans: HashMap<Field, (Span, Vec<Span>)>,
}

impl Keys {
    /// Parses one key; `false` if the key is not one of [`KEYS`].
    pub(crate) fn read(&mut self, pair: Pair, errors: &mut Errors) -> bool {
        let Pair { key, value } = pair;
        let span = value.span();
        match key.to_string().as_str() {
            "methods" => self.methods(value, errors),
            "acr" => {
                let write = "acr = \"value\" or acr = [\"value\", \"other\"]";
                let (acr, spans) = match value {
                    Value::Text(text) => (vec![text.value()], vec![text.span()]),
                    other => list(other, write, errors),
                };
                self.requirement.acr = acr;
                self.spans.insert(Field::Acr, (span, spans));
            }
            "max_age" => {
                self.requirement.max_age = max_age(value, errors);
                self.spans.insert(Field::MaxAge, (span, Vec::new()));
            }
            "scopes" => {
                let (scopes, spans) = list(value, "scopes = [\"payments:approve\"]", errors);
                self.requirement.scopes = scopes;
                self.spans.insert(Field::Scopes, (span, spans));
            }
            "risk" => {
                let (rule, deny) = risk(value, errors).unzip();
                self.requirement.risk = rule;
                self.spans.insert(Field::Risk, (span, Vec::new()));
                self.spans.insert(Field::RiskDeny, (deny.flatten().unwrap_or(span), Vec::new()));
            }
            "per_action" => {
                self.requirement.per_action = flag(value, "per_action = true", errors);
                self.spans.insert(Field::PerAction, (span, Vec::new()));
            }
            "bound" => {
                self.requirement.bound = flag(value, "bound = true", errors);
                self.spans.insert(Field::Bound, (span, Vec::new()));
            }
            "trust" => self.trust = trust(value, errors),
            "reason" => self.reason = value.into_text(errors, REASON),
            _ => return false,
        }
        true
    }

    /// The trust: sensitive unless declared otherwise.
    pub(crate) fn trust(&self) -> Trust {
        self.trust.unwrap_or(Trust::Sensitive)
    }

    /// Why the endpoint is public.
    pub(crate) fn reason(&self) -> Option<String> {
        self.reason.as_ref().map(LitStr::value)
    }

    /// The required scopes with their spans.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = (&str, Span)> {
        let spans = self.spans.get(&Field::Scopes).map(|(_, items)| items.as_slice());
        let spans = spans.unwrap_or_default().iter().copied();
        self.requirement.scopes.iter().map(String::as_str).zip(spans)
    }

    /// Reports every rule that the keys violate, at the token that violates it.
    ///
    /// `span` and `fix` are for a sensitive endpoint that requires no step-up. The check for it needs keys without
    /// errors, because an error may have lost the requirement.
    pub(crate) fn check(&self, span: Span, fix: &str, errors: &mut Errors) {
        self.check_rules(errors);
        let step_up = [Field::Methods, Field::AnyMethods, Field::Acr, Field::MaxAge];
        let requires_step_up = step_up.iter().any(|field| self.spans.contains_key(field));
        if self.trust() == Trust::Sensitive && !requires_step_up && errors.is_empty() {
            errors.at(span, fix);
        }
    }

    /// Reports the rules for each key. An empty requirement violates none of them.
    pub(crate) fn check_rules(&self, errors: &mut Errors) {
        let trust = self.trust();
        if let Some(reason) = &self.reason {
            if trust != Trust::Public {
                errors.at(
                    reason.span(),
                    "a reason states why an endpoint is public; write trust = \"public\", or remove it",
                );
            } else if reason.value().trim().is_empty() {
                errors.at(reason.span(), format!("the reason is empty; write {REASON}"));
            }
        }
        let mut problems = self.requirement.contradictions(trust);
        if problems.is_empty() {
            problems = self.requirement.problems();
        }
        for problem in problems {
            if let Some((whole, items)) = self.spans.get(&problem.field) {
                let item = problem.index.and_then(|index| items.get(index));
                errors.at(*item.unwrap_or(whole), &problem);
            }
        }
    }

    fn methods(&mut self, value: Value, errors: &mut Errors) {
        let span = value.span();
        self.spans.insert(Field::Methods, (span, Vec::new()));
        let write =
            "methods = [\"mfa\"] for all of them, or any(\"hwk\", \"face\") for one of them";
        let (field, items) = match value {
            Value::List(_, items) => (Field::Methods, items),
            Value::Call(name, _, arguments) if name == "any" => {
                let items = arguments.into_iter().map(|argument| match argument {
                    Argument::Value(value) => value,
                    Argument::Pair(pair) => Value::Other(pair.key.span()),
                });
                (Field::AnyMethods, items.collect())
            }
            Value::Indexed(name, items) if name == "any" => {
                errors.at(name.span(), format!("any takes parentheses; write any({items})"));
                return;
            }
            Value::Text(text) => {
                let message = format!("expected a list; write methods = [\"{}\"]", text.value());
                errors.at(text.span(), message);
                return;
            }
            other => {
                errors.at(other.span(), format!("expected a list of methods; write {write}"));
                return;
            }
        };
        if items.is_empty() {
            errors.at(span, format!("no methods; write {write}"));
            self.spans.insert(field, (span, Vec::new()));
            return;
        }
        let mut methods = Vec::new();
        let mut spans = Vec::new();
        for item in items {
            let span = item.span();
            if let Some(method) = method(item, errors) {
                methods.push(method);
                spans.push(span);
            }
        }
        self.spans.insert(field, (span, spans));
        match field {
            Field::AnyMethods => self.requirement.any_methods = methods,
            _ => self.requirement.methods = methods,
        }
    }
}

/// How to write a reason.
const REASON: &str = "why the endpoint is public, as in reason = \"signed by Stripe\"";

fn trust(value: Value, errors: &mut Errors) -> Option<Trust> {
    let names = || Trust::ALL.map(Trust::as_str);
    let write = names().map(|name| format!("trust = \"{name}\"")).join(" or ");
    let text = value.into_text(errors, &write)?;
    let trust = Trust::ALL.into_iter().find(|trust| trust.as_str() == text.value());
    if trust.is_none() {
        let name = text.value();
        let suggestion = Suggestion::among(&name, names()).or(format_args!("write {write}"));
        errors.at(text.span(), format!("unknown trust `{name}`{suggestion}"));
    }
    trust
}

fn method(item: Value, errors: &mut Errors) -> Option<Method> {
    let span = item.span();
    let result = match item {
        Value::Text(text) if text.value().starts_with("custom:") => {
            let name = text.value()["custom:".len()..].to_owned();
            errors.at(span, format!("write a vendor's method as custom(\"{name}\")"));
            return None;
        }
        Value::Text(text) => text.value().parse::<Method>().map_err(|why| {
            // A vendor's method has another form in an attribute than in a contract.
            let (contract, code) =
                (format!("`custom:{}`", text.value()), format!("custom(\"{}\")", text.value()));
            why.to_string().replace(&contract, &code)
        }),
        Value::Call(name, _, arguments) if name == "custom" => {
            match <[Argument; 1]>::try_from(arguments).ok().map(|[only]| only) {
                Some(Argument::Value(Value::Text(text))) => {
                    Method::custom(&text.value()).map_err(|why| why.to_string())
                }
                _ => Err("custom takes one string; write custom(\"okta_verify\")".to_owned()),
            }
        }
        Value::Call(name, ..) if name == "any" => {
            Err("any(…) does not nest; write methods = any(\"hwk\", \"face\")".to_owned())
        }
        _ => Err("expected a method; write a string such as \"mfa\", or custom(\"…\")".to_owned()),
    };
    result.map_err(|message| errors.at(span, message)).ok()
}

/// A list of strings with the span of each.
fn list(value: Value, write: &str, errors: &mut Errors) -> (Vec<String>, Vec<Span>) {
    let span = value.span();
    let items = match value {
        Value::List(_, items) => items,
        other => {
            errors.at(other.span(), format!("expected a list of strings; write {write}"));
            return Default::default();
        }
    };
    if items.is_empty() {
        errors.at(span, format!("an empty list; write {write}, or remove it"));
    }
    items
        .into_iter()
        .filter_map(|item| item.into_text(errors, write))
        .map(|text| (text.value(), text.span()))
        .unzip()
}

fn flag(value: Value, write: &str, errors: &mut Errors) -> bool {
    match value {
        Value::Literal(Lit::Bool(flag)) => flag.value,
        other => {
            errors.at(other.span(), format!("expected true or false; write {write}"));
            false
        }
    }
}

fn max_age(value: Value, errors: &mut Errors) -> Option<u32> {
    const WRITE: &str = "write seconds, as in 300, or \"90s\", \"5m\", \"1h\"";
    let span = value.span();
    let result = match &value {
        Value::Literal(Lit::Int(number)) => seconds(number),
        Value::Text(text) => duration(text),
        Value::Negative(_) => Err("max_age must not be negative".to_owned()),
        Value::Literal(Lit::Float(_)) => Err("max_age is in whole seconds".to_owned()),
        _ => Err("expected a duration".to_owned()),
    };
    result.map_err(|message| errors.at(span, format!("{message}; {WRITE}"))).ok()
}

fn seconds(number: &LitInt) -> Result<u32, String> {
    if !number.suffix().is_empty() {
        return Err(format!("`{number}` is not a plain number"));
    }
    number.base10_parse().map_err(|_| too_long())
}

fn duration(text: &LitStr) -> Result<u32, String> {
    let value = text.value();
    let digits = value.trim_end_matches(['s', 'm', 'h']);
    let unit = match &value[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => 0,
    };
    if unit == 0 || digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("invalid duration \"{value}\""));
    }
    digits.parse::<u32>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(too_long)
}

fn too_long() -> String {
    format!("max_age is at most {} seconds", u32::MAX)
}

/// The rule, and the span of its `deny`.
fn risk(value: Value, errors: &mut Errors) -> Option<(RiskRule, Option<Span>)> {
    const WRITE: &str = "risk = risk(step_up = \"medium\", deny = \"high\")";
    let (span, arguments) = match value {
        Value::Call(name, span, arguments) if name == "risk" => (span, arguments),
        other => {
            errors.at(other.span(), format!("expected a risk rule; write {WRITE}"));
            return None;
        }
    };
    if arguments.is_empty() {
        errors.at(span, format!("an empty risk rule; write {WRITE}"));
        return None;
    }
    let (mut step_up, mut deny, mut deny_span) = (None, None, None);
    let mut sound = true;
    for argument in arguments {
        let Argument::Pair(Pair { key, value }) = argument else {
            errors.at(span, format!("a risk rule has keys; write {WRITE}"));
            return None;
        };
        let slot: &mut Option<RiskLevel> = match key.to_string().as_str() {
            "step_up" => &mut step_up,
            "deny" => {
                deny_span = Some(value.span());
                &mut deny
            }
            _ => {
                errors.at(key.span(), format!("unknown key `{key}`; write {WRITE}"));
                sound = false;
                continue;
            }
        };
        if slot.is_some() {
            errors.at(key.span(), format!("duplicate key `{key}`; remove one"));
        }
        *slot = value.into_text(errors, WRITE).and_then(|text| named(&text, errors));
        sound &= slot.is_some();
    }
    sound.then_some((RiskRule { step_up, deny }, deny_span))
}

fn named<T: FromStr<Err: Display>>(text: &LitStr, errors: &mut Errors) -> Option<T> {
    text.value().parse().map_err(|why| errors.at(text.span(), why)).ok()
}
