//! Searches for evidence that satisfies one requirement and not the other. Uses only `decide`.

use super::generated::{NOW, Proof, unique};
use serde_json::json;
use stepup_contract::{Authentication, Decision, Method, Profile, Requirement, RiskLevel, decide};

/// Evidence that `new` allows and `old` refuses. The search covers every combination that can matter: the methods that
/// either requirement names, in each way to prove them, all acr values, the ages around the limits, all risks, and
/// tokens that lack a scope.
pub(super) fn witness(old: &Requirement, new: &Requirement) -> Option<Proof> {
    let named = |r: &Requirement| [r.methods.clone(), r.any_methods.clone()].concat();
    let mut atoms: Vec<Method> = unique([named(old), named(new)].concat());
    if atoms.contains(&Method::Biometric) {
        atoms.extend([Method::Face, Method::Fpt, Method::Iris, Method::Retina, Method::Vbm]);
    }
    let atoms = unique(atoms);
    let mut acrs: Vec<Option<&String>> = old.acr.iter().chain(&new.acr).map(Some).collect();
    acrs.push(None);
    let limits = [old.max_age, new.max_age].into_iter().flatten().map(u64::from);
    let mut ages: Vec<Option<u64>> = limits.flat_map(|age| [Some(age), Some(age + 1)]).collect();
    ages.extend([Some(0), None]);
    let all_scopes = unique([old.scopes.clone(), new.scopes.clone()].concat());
    let mut scopes = vec![all_scopes.clone(), new.scopes.clone()];
    scopes.dedup();
    let risks = [None].into_iter().chain(RiskLevel::ALL.into_iter().map(Some));
    let risks: Vec<_> = risks.collect();
    for bits in 0..1_u32 << atoms.len() {
        let chosen = atoms.iter().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0);
        let amr: Vec<&str> = chosen.map(|(_, method)| method.amr()).collect();
        // The profile adds the implied methods. `amr` cannot state a group, but an acr can prove one, so the test adds
        // groups directly.
        let claims = json!({"amr": amr});
        let mut methods = Profile::default().authentication(claims.as_object().unwrap()).methods;
        for group in [Method::PhishingResistant, Method::Biometric] {
            if amr.contains(&group.amr()) {
                methods.insert(group);
            }
        }
        for acr in &acrs {
            for age in &ages {
                for risk in &risks {
                    for scopes in &scopes {
                        for flags in 0..8 {
                            let proof = Proof {
                                authentication: with!(Authentication::default(); methods: methods.clone(),
                                    acr: acr.iter().map(|acr| (*acr).clone()).collect(),
                                    auth_time: age.map(|age| NOW - age),
                                    scopes: scopes.clone(),
                                    may_step_up: flags & 4 == 0,
                                    clock_skew: 0),
                                risk: *risk,
                                reauthenticate_after: None,
                                bound: flags & 1 != 0,
                                confirmed: flags & 2 != 0,
                            };
                            if allows(new, &proof, NOW) && !allows(old, &proof, NOW) {
                                return Some(proof);
                            }
                        }
                    }
                }
            }
        }
    }
    None
}

pub(super) fn allows(requirement: &Requirement, proof: &Proof, now: u64) -> bool {
    decide(requirement, &proof.evidence(), now) == Decision::Allow
}
