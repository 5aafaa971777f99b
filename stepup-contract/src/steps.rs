//! The decision step by step, for people who ask why. Each step is [`decide`]'s own answer to a part of the
//! requirement, so that nothing is decided here.

use crate::authentication::{Authentication, Evidence};
use crate::decide::{Decision, decide};
use crate::method::Method;
use crate::requirement::{Field, Requirement, Trust};
use crate::risk::RiskRule;
use std::fmt::{self, Display};

/// One thing that an endpoint may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name in the contract, and `issuer` for whether the issuer's users may step up.
    pub name: &'static str,
    /// What is asked; `None` where nothing is.
    pub asked: Option<String>,
    /// What was received.
    pub received: String,
    /// Whether that is enough; always so where nothing is asked.
    pub holds: bool,
}

/// What this evidence says to each part of a requirement, in the order of [`decide`]. `now` is in seconds
/// since the epoch.
pub fn steps(requirement: &Requirement, evidence: &Evidence<'_>, now: u64) -> Vec<Step> {
    let authentication = evidence.authentication;
    // That its issuer is barred is a step of its own.
    let admitted = Authentication { may_step_up: true, ..authentication.clone() };
    let part = |part: Requirement| {
        decide(&part, &Evidence { authentication: &admitted, ..*evidence }, now) == Decision::Allow
    };
    let none = Requirement::default;
    let of = |field: Field, asked: Option<String>, received: String, asks: Requirement| Step {
        name: field.key(),
        asked,
        received,
        holds: part(asks),
    };
    let Requirement { methods, any_methods, acr, max_age, scopes, risk, bound, per_action } =
        requirement;
    // The step-up is asked from a level on, or always.
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
            format!("auth_time lies {} s in the future", time.saturating_sub(now))
        }
        (Some(_), Some(age)) => format!("authenticated {age} s ago"),
    };
    vec![
        of(
            Field::Bound,
            bound.then(|| "a bound token".to_owned()),
            if evidence.bound { "a bound token" } else { "a bearer token" }.to_owned(),
            Requirement { bound: *bound, ..none() },
        ),
        Step {
            name: "issuer",
            asked: sensitive.then(|| "step-up allowed".to_owned()),
            received: if authentication.may_step_up { "allowed" } else { "not allowed" }.to_owned(),
            holds: !sensitive || authentication.may_step_up,
        },
        of(
            Field::Risk,
            risk.and_then(|rule| rule.deny).map(|level| format!("below {level}")),
            evidence.risk.map_or_else(|| "unknown".to_owned(), |risk| risk.to_string()),
            Requirement { risk: *risk, ..none() },
        ),
        of(
            Field::Methods,
            all(methods),
            received_methods.clone(),
            Requirement { methods: methods.clone(), ..stepped_up() },
        ),
        of(
            Field::AnyMethods,
            any(any_methods),
            received_methods,
            Requirement { any_methods: any_methods.clone(), ..stepped_up() },
        ),
        of(
            Field::Acr,
            (!acr.is_empty()).then(|| format!("one of {}", joined(acr))),
            match &authentication.acr[..] {
                [] => "none".to_owned(),
                held => joined(held),
            },
            Requirement { acr: acr.clone(), ..stepped_up() },
        ),
        of(
            Field::MaxAge,
            max_age.map(|seconds| format!("at most {seconds} s")),
            age,
            Requirement { max_age: *max_age, ..stepped_up() },
        ),
        of(
            Field::Scopes,
            (!scopes.is_empty()).then(|| format!("all of {}", joined(scopes))),
            match &authentication.scopes[..] {
                [] => "none".to_owned(),
                granted => joined(granted),
            },
            Requirement { scopes: scopes.clone(), ..none() },
        ),
        of(
            Field::PerAction,
            per_action.then(|| "a confirmation of this call".to_owned()),
            if evidence.confirmed { "one" } else { "none" }.to_owned(),
            Requirement { per_action: *per_action, ..none() },
        ),
    ]
}

fn joined<T: Display>(list: &[T]) -> String {
    list.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

impl Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, asked, received, holds } = self;
        match asked {
            None => write!(f, "{name}: not required"),
            Some(asked) => {
                let verdict = if *holds { "satisfied" } else { "NOT satisfied" };
                write!(f, "{name}: {verdict}; required: {asked}; received: {received}")
            }
        }
    }
}
