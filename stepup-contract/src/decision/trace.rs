//! The decision step by step, for people. Each step is [`decide`]'s result for one part of the requirement, so this
//! module contains no rule of its own.

use crate::decision::decide::{Decision, decide};
use crate::decision::evidence::Evidence;
use crate::model::{Field, Method, Requirement, RiskRule, Trust};
use crate::profile::Authentication;
use std::fmt::{self, Display};

/// One part of a requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// The part's name in the contract; `issuer` for whether the issuer's users may step up.
    pub name: &'static str,
    /// What is required; `None` if nothing is.
    pub required: Option<String>,
    /// What was received.
    pub received: String,
    /// Whether it is satisfied; always true if nothing is required.
    pub satisfied: bool,
}

/// The result for each part of a requirement, in the order of [`decide`]. `now` is in seconds since the epoch.
pub fn trace(requirement: &Requirement, evidence: &Evidence<'_>, now: u64) -> Vec<Step> {
    let authentication = evidence.authentication;
    // Whether the issuer is barred is a separate step.
    let not_barred = Authentication { may_step_up: true, ..authentication.clone() };
    let decided = |part: Requirement, reauthenticate_after| {
        let alone = Evidence { authentication: &not_barred, reauthenticate_after, ..*evidence };
        decide(&part, &alone, now) == Decision::Allow
    };
    // Whether a later authentication is required is a separate step.
    let part = |part| decided(part, None);
    let none = Requirement::default;
    let step = |field: Field, required: Option<String>, received: String, alone: Requirement| {
        Step { name: field.key(), required, received, satisfied: part(alone) }
    };
    let Requirement { methods, any_methods, acr, max_age, scopes, risk, bound, per_action } =
        requirement;
    // The step-up is required from a risk level on, or always.
    let from =
        risk.map(|rule| RiskRule { deny: None, ..rule }).filter(|rule| rule.step_up.is_some());
    let stepped_up = || Requirement { risk: from, ..Requirement::default() };
    let sensitive = requirement.trust() == Trust::Sensitive;
    let received_methods = match &authentication.methods {
        proven if proven.is_empty() => "nothing proven".to_owned(),
        proven => format!("{proven} proven"),
    };
    let all = |list: &[Method]| (!list.is_empty()).then(|| format!("all of {}", joined(list)));
    let any = |list: &[Method]| (!list.is_empty()).then(|| format!("one of {}", joined(list)));
    let age = match (authentication.auth_time, authentication.age(now)) {
        (None, _) => "no auth_time".to_owned(),
        (Some(time), None) => {
            format!("auth_time is {} s in the future", time.saturating_sub(now))
        }
        (Some(_), Some(age)) => format!("authenticated {age} s ago"),
    };
    let later = evidence.reauthenticate_after.filter(|_| sensitive);
    // Only the time of the authentication matters here, not its age.
    let recent = || Requirement { max_age: Some(u32::MAX), ..stepped_up() };
    let reauthentication = later.map(|time| Step {
        name: "reauthentication",
        required: Some(format!("an authentication after {time}")),
        received: authentication
            .auth_time
            .map_or_else(|| "no auth_time".to_owned(), |time| format!("auth_time {time}")),
        satisfied: decided(recent(), Some(time)),
    });
    let steps = [
        step(
            Field::Bound,
            bound.then(|| "a bound token".to_owned()),
            if evidence.bound { "a bound token" } else { "a bearer token" }.to_owned(),
            Requirement { bound: *bound, ..none() },
        ),
        Step {
            name: "issuer",
            required: sensitive.then(|| "step-up allowed".to_owned()),
            received: if authentication.may_step_up { "allowed" } else { "not allowed" }.to_owned(),
            satisfied: !sensitive || authentication.may_step_up,
        },
        step(
            Field::Risk,
            risk.and_then(|rule| rule.deny).map(|level| format!("below {level}")),
            evidence.risk.map_or_else(|| "unknown".to_owned(), |risk| risk.to_string()),
            Requirement { risk: *risk, ..none() },
        ),
        step(
            Field::Methods,
            all(methods),
            received_methods.clone(),
            Requirement { methods: methods.clone(), ..stepped_up() },
        ),
        step(
            Field::AnyMethods,
            any(any_methods),
            received_methods,
            Requirement { any_methods: any_methods.clone(), ..stepped_up() },
        ),
        step(
            Field::Acr,
            (!acr.is_empty()).then(|| format!("one of {}", joined(acr))),
            match &authentication.acr[..] {
                [] => "none".to_owned(),
                acr => joined(acr),
            },
            Requirement { acr: acr.clone(), ..stepped_up() },
        ),
        step(
            Field::MaxAge,
            max_age.map(|seconds| format!("at most {seconds} s")),
            age,
            Requirement { max_age: *max_age, ..stepped_up() },
        ),
        step(
            Field::Scopes,
            (!scopes.is_empty()).then(|| format!("all of {}", joined(scopes))),
            match &authentication.scopes[..] {
                [] => "none".to_owned(),
                granted => joined(granted),
            },
            Requirement { scopes: scopes.clone(), ..none() },
        ),
        step(
            Field::PerAction,
            per_action.then(|| "a confirmation of this call".to_owned()),
            if evidence.confirmed { "one" } else { "none" }.to_owned(),
            Requirement { per_action: *per_action, ..none() },
        ),
    ];
    steps.into_iter().chain(reauthentication).collect()
}

fn joined<T: Display>(list: &[T]) -> String {
    list.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

impl Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, required, received, satisfied } = self;
        match required {
            None => write!(f, "{name}: not required"),
            Some(required) => {
                let verdict = if *satisfied { "satisfied" } else { "NOT satisfied" };
                write!(f, "{name}: {verdict}; required: {required}; received: {received}")
            }
        }
    }
}
