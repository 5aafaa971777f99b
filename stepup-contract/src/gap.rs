//! What one requirement lets in that another refuses: the exact meaning of "weakened". For each part of a
//! requirement there is a gap exactly when some evidence exists that the new one allows and the old one
//! refuses for this part; a property test holds this against [`decide`](crate::decide).
//!
//! Evidence is any that a token could bring, whatever its issuer's profile lets its acr values prove; a
//! group may be proven by itself. At one issuer a change may weaken less than is said here, never more.

use crate::method::Method;
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
    // An issuer's users that may not step up are let in by it.
    let trusts = asks && new.trust() == Trust::Standard;
    let both_ask = open.contains(&(Stance::Asks, Stance::Asks));
    for (field, gap) in [
        (Field::StepUp, trusts),
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

/// The smallest sets of methods that satisfy a requirement: everything else that does holds one. They are all that
/// `methods` asks for, and beside it one of `alternatives`, if there are any.
struct Smallest<'a> {
    all: HashSet<&'a Method>,
    alternatives: &'a [Method],
}

impl<'a> Smallest<'a> {
    fn of(requirement: &'a Requirement) -> Self {
        let all = HashSet::from_iter(&requirement.methods);
        let holds_one = requirement.any_methods.iter().any(|method| proven(&all, method));
        let alternatives = if holds_one { &[][..] } else { &requirement.any_methods };
        Self { all, alternatives }
    }

    /// Whether one of the sets holds not all of these.
    fn lacks_some(&self, methods: &[Method]) -> bool {
        let lacking = || methods.iter().filter(|method| !proven(&self.all, method));
        let proves_all = |one| lacking().all(|method| proven(&HashSet::from([one]), method));
        lacking().next().is_some()
            && (self.alternatives.is_empty() || !self.alternatives.iter().all(proves_all))
    }

    /// Whether one of the sets holds none of these.
    fn lacks_all(&self, methods: &[Method]) -> bool {
        let those: HashSet<&Method> = methods.iter().collect();
        let one_of_those = |one: &Method| {
            those.contains(one) || (those.contains(&Method::Biometric) && one.is_inherence())
        };
        !methods.iter().any(|method| proven(&self.all, method))
            && (self.alternatives.is_empty() || !self.alternatives.iter().all(one_of_those))
    }
}

/// Whether these methods prove this one, the group `biometric` by any of its own.
fn proven(by: &HashSet<&Method>, method: &Method) -> bool {
    by.contains(method) || (*method == Method::Biometric && by.iter().any(|one| one.is_inherence()))
}

fn methods(old: &Requirement, new: &Requirement) -> bool {
    Smallest::of(new).lacks_some(&old.methods)
}

fn any_methods(old: &Requirement, new: &Requirement) -> bool {
    !old.any_methods.is_empty() && Smallest::of(new).lacks_all(&old.any_methods)
}

fn acr(old: &Requirement, new: &Requirement) -> bool {
    let known: HashSet<&String> = old.acr.iter().collect();
    !known.is_empty() && (new.acr.is_empty() || !new.acr.iter().all(|acr| known.contains(acr)))
}

fn scopes(old: &Requirement, new: &Requirement) -> bool {
    let there: HashSet<&String> = new.scopes.iter().collect();
    !old.scopes.iter().all(|scope| there.contains(scope))
}

fn max_age(old: &Requirement, new: &Requirement) -> bool {
    old.max_age.is_some_and(|old| new.max_age.is_none_or(|new| new > old))
}
