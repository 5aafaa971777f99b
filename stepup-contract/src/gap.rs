//! What one requirement lets in that another refuses: the exact meaning of "weakened". For each part of a
//! requirement there is a gap exactly when some evidence exists that the new one allows and the old one
//! refuses for this part; a property test holds this against [`decide`](crate::decide).
//!
//! Evidence is any that a token could bring, whatever its issuer's profile lets its acr values prove; a
//! group may be proven by itself. At one issuer a change may weaken less than is said here, never more.

use crate::method::{Method, MethodSet};
use crate::requirement::{Field, Requirement, Trust};
use crate::risk::RiskLevel;
use std::collections::HashSet;

/// The parts of `old` that evidence allowed by `new` may lack, in the order of the contract's fields.
pub fn gaps(old: &Requirement, new: &Requirement) -> Vec<Field> {
    // Every risk that a session can have, with what each says of it.
    let risks = [None].into_iter().chain(RiskLevel::ALL.into_iter().map(Some));
    let open: Vec<(Stance, Stance)> = risks
        .map(|risk| (Stance::of(old, risk), Stance::of(new, risk)))
        .filter(|(_, new)| *new != Stance::Denies)
        .collect();
    let mut gaps = Vec::new();
    if open.is_empty() {
        // The new one lets nobody in, whatever the evidence.
        return gaps;
    }
    let asks = old.trust() == Trust::Sensitive;
    let both_ask = open.contains(&(Stance::Asks, Stance::Asks));
    for (field, gap) in [
        (Field::Methods, both_ask && methods(old, new)),
        (Field::AnyMethods, both_ask && any_methods(old, new)),
        (Field::Acr, both_ask && acr(old, new)),
        (Field::MaxAge, both_ask && max_age(old, new)),
        (Field::Scopes, scopes(old, new)),
        (Field::Risk, asks && open.contains(&(Stance::Asks, Stance::Spares))),
        (Field::RiskDeny, open.iter().any(|(old, _)| *old == Stance::Denies)),
        (Field::Bound, old.bound && !new.bound),
        (Field::PerAction, old.per_action && !new.per_action),
    ] {
        if gap {
            gaps.push(field);
        }
    }
    gaps
}

/// What a requirement says of a session at some risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stance {
    /// The call is refused.
    Denies,
    /// The step-up is not asked.
    Spares,
    /// What the requirement asks of the authentication is asked.
    Asks,
}

impl Stance {
    fn of(requirement: &Requirement, risk: Option<RiskLevel>) -> Self {
        match requirement.risk {
            Some(rule) if rule.denies(risk) => Self::Denies,
            Some(rule) if rule.spares(risk) => Self::Spares,
            _ => Self::Asks,
        }
    }
}

/// The smallest sets of methods that satisfy a requirement: everything else that does holds one.
fn smallest(requirement: &Requirement) -> Vec<MethodSet> {
    let Requirement { methods, any_methods, .. } = requirement;
    let with = |one: Option<&Method>| {
        let mut set: MethodSet = methods.iter().chain(one).cloned().collect();
        set.close(false);
        set
    };
    let all = with(None);
    if any_methods.is_empty() || any_methods.iter().any(|method| all.contains(method)) {
        return vec![all];
    }
    any_methods.iter().map(|method| with(Some(method))).collect()
}

fn methods(old: &Requirement, new: &Requirement) -> bool {
    smallest(new).iter().any(|set| !old.methods.iter().all(|method| set.contains(method)))
}

fn any_methods(old: &Requirement, new: &Requirement) -> bool {
    !old.any_methods.is_empty()
        && smallest(new)
            .iter()
            .any(|set| !old.any_methods.iter().any(|method| set.contains(method)))
}

fn acr(old: &Requirement, new: &Requirement) -> bool {
    !old.acr.is_empty() && (new.acr.is_empty() || !new.acr.iter().all(|acr| old.acr.contains(acr)))
}

fn scopes(old: &Requirement, new: &Requirement) -> bool {
    let there: HashSet<&String> = new.scopes.iter().collect();
    !old.scopes.iter().all(|scope| there.contains(scope))
}

fn max_age(old: &Requirement, new: &Requirement) -> bool {
    old.max_age.is_some_and(|old| new.max_age.is_none_or(|new| new > old))
}
