//! The exact meaning of "weakened": a field is weakened if some evidence exists that the new requirement accepts and
//! the old one refuses because of this field. A property test compares this with [`decide`](crate::decide).
//!
//! Evidence is anything that a token could prove, whatever its issuer's profile maps to an acr; a group may be proven
//! directly. With one particular issuer a change may weaken less than reported here, never more.

use crate::model::{Endpoint, Field, Method, Requirement, RiskLevel, Trust};
use std::collections::HashSet;

/// The fields in which `new` authorizes callers whom `old` refuses, in the order of the contract's fields.
pub(crate) fn weakened_endpoint(old: &Endpoint, new: &Endpoint) -> Vec<Field> {
    let mut fields = weakened_fields(&old.requirement, &new.requirement);
    if new.public && !old.public && !fields.contains(&Field::StepUp) {
        fields.insert(0, Field::StepUp);
    }
    fields
}

/// The fields of `old` that evidence accepted by `new` may lack, in the order of the contract's fields.
pub fn weakened_fields(old: &Requirement, new: &Requirement) -> Vec<Field> {
    // Every risk that a session can have, with the stance of both requirements.
    let risks = [None].into_iter().chain(RiskLevel::ALL.into_iter().map(Some));
    let open: Vec<(Stance, Stance)> = risks
        .map(|risk| (Stance::of(old, risk), Stance::of(new, risk)))
        .filter(|(_, new)| *new != Stance::Denies)
        .collect();
    let mut fields = Vec::new();
    if open.is_empty() {
        // The new requirement refuses every caller.
        return fields;
    }
    let sensitive = old.trust() == Trust::Sensitive;
    // The users of an issuer that is barred from sensitive endpoints are now authorized.
    let now_standard = sensitive && new.trust() == Trust::Standard;
    let both_require = open.contains(&(Stance::Requires, Stance::Requires));
    for (field, weakened) in [
        (Field::StepUp, now_standard),
        (Field::Methods, both_require && methods(old, new)),
        (Field::AnyMethods, both_require && any_methods(old, new)),
        (Field::Acr, both_require && acr(old, new)),
        (Field::MaxAge, both_require && max_age(old, new)),
        (Field::Scopes, scopes(old, new)),
        (Field::Risk, sensitive && open.contains(&(Stance::Requires, Stance::Waives))),
        (Field::RiskDeny, open.iter().any(|(old, _)| *old == Stance::Denies)),
        (Field::Bound, old.bound && !new.bound),
        (Field::PerAction, old.per_action && !new.per_action),
    ] {
        if weakened {
            fields.push(field);
        }
    }
    fields
}

/// The effect of a requirement on a session with some risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stance {
    /// The call is refused.
    Denies,
    /// The step-up is not required.
    Waives,
    /// The step-up is required.
    Requires,
}

impl Stance {
    fn of(requirement: &Requirement, risk: Option<RiskLevel>) -> Self {
        match requirement.risk {
            Some(rule) if rule.denies(risk) => Self::Denies,
            Some(rule) if rule.waives_step_up(risk) => Self::Waives,
            _ => Self::Requires,
        }
    }
}

/// The minimal sets of methods that satisfy a requirement: each contains `all`, and one of `alternatives` if there are
/// any. Every other set that satisfies the requirement contains one of them.
struct MinimalSets<'a> {
    all: HashSet<&'a Method>,
    alternatives: &'a [Method],
}

impl<'a> MinimalSets<'a> {
    fn of(requirement: &'a Requirement) -> Self {
        let all = HashSet::from_iter(&requirement.methods);
        let has_one = requirement.any_methods.iter().any(|method| proven(&all, method));
        let alternatives = if has_one { &[][..] } else { &requirement.any_methods };
        Self { all, alternatives }
    }

    /// Whether at least one of the sets lacks one of these methods.
    fn lacks_some(&self, methods: &[Method]) -> bool {
        let lacking = || methods.iter().filter(|method| !proven(&self.all, method));
        let proves_all = |one| lacking().all(|method| proven(&HashSet::from([one]), method));
        lacking().next().is_some()
            && (self.alternatives.is_empty() || !self.alternatives.iter().all(proves_all))
    }

    /// Whether one of the sets contains none of these methods.
    fn lacks_all(&self, methods: &[Method]) -> bool {
        let those: HashSet<&Method> = methods.iter().collect();
        let one_of_those = |one: &Method| {
            those.contains(one) || (those.contains(&Method::Biometric) && one.is_inherence())
        };
        !methods.iter().any(|method| proven(&self.all, method))
            && (self.alternatives.is_empty() || !self.alternatives.iter().all(one_of_those))
    }
}

/// Whether these methods prove this one. Any biometric method proves the group `biometric`.
fn proven(by: &HashSet<&Method>, method: &Method) -> bool {
    by.contains(method) || (*method == Method::Biometric && by.iter().any(|one| one.is_inherence()))
}

fn methods(old: &Requirement, new: &Requirement) -> bool {
    MinimalSets::of(new).lacks_some(&old.methods)
}

fn any_methods(old: &Requirement, new: &Requirement) -> bool {
    !old.any_methods.is_empty() && MinimalSets::of(new).lacks_all(&old.any_methods)
}

fn acr(old: &Requirement, new: &Requirement) -> bool {
    let known: HashSet<&String> = old.acr.iter().collect();
    !known.is_empty() && (new.acr.is_empty() || !new.acr.iter().all(|acr| known.contains(acr)))
}

fn scopes(old: &Requirement, new: &Requirement) -> bool {
    let required: HashSet<&String> = new.scopes.iter().collect();
    !old.scopes.iter().all(|scope| required.contains(scope))
}

fn max_age(old: &Requirement, new: &Requirement) -> bool {
    old.max_age.is_some_and(|old| new.max_age.is_none_or(|new| new > old))
}
