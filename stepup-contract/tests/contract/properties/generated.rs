//! Generators for requirements, evidence, issuers and templates, and steps that make them stricter or stronger.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use stepup_contract::{
    Authentication, Endpoint, Evidence, HttpMethod, Method, MethodSet, Profile, Requirement,
    RiskLevel, RiskRule, Trust,
};

pub(super) const NOW: u64 = 1_800_000_000;

pub(super) fn method() -> impl Strategy<Value = Method> {
    let named: Vec<Method> = Method::named().cloned().collect();
    prop_oneof![
        8 => proptest::sample::select(named),
        1 => "x[a-c]{1,2}".prop_map(|name| Method::custom(&name).unwrap()),
    ]
}

pub(super) fn unique<T: PartialEq>(list: Vec<T>) -> Vec<T> {
    let mut unique = Vec::new();
    for item in list {
        if !unique.contains(&item) {
            unique.push(item);
        }
    }
    unique
}

pub(super) fn level() -> impl Strategy<Value = RiskLevel> {
    proptest::sample::select(RiskLevel::ALL.to_vec())
}

pub(super) fn rule() -> impl Strategy<Value = RiskRule> {
    (option::of(level()), option::of(level()))
        .prop_map(|(step_up, deny)| RiskRule { step_up, deny })
        .prop_filter("not empty", |rule| rule.step_up.is_some() || rule.deny.is_some())
        .prop_filter("in order", |rule| rule.deny.is_none() || rule.deny >= rule.step_up)
}

pub(super) fn requirement() -> impl Strategy<Value = Requirement> {
    let sensitive = (
        (vec(method(), 0..3), vec(method(), 0..3), vec("[a-c]", 0..3), option::of(0..600_u32)),
        vec("s[a-c]", 0..3),
        (option::of(rule()), any::<bool>(), any::<bool>()),
    )
        .prop_map(
            |((methods, any_methods, acr, max_age), scopes, (risk, bound, per_action))| {
                with!(Requirement::default(); methods: unique(methods),
                    any_methods: unique(any_methods),
                    acr: unique(acr),
                    max_age,
                    scopes: unique(scopes),
                    risk,
                    bound,
                    per_action)
            },
        );
    let standard = (vec("s[a-c]", 0..3), any::<bool>()).prop_map(|(scopes, bound)| {
        with!(Requirement::default(); scopes: unique(scopes),
        bound)
    });
    prop_oneof![3 => sensitive, 1 => standard]
        .prop_filter("valid", |requirement| requirement.problems().is_empty())
}

#[derive(Debug, Clone)]
pub(super) struct Proof {
    pub(super) authentication: Authentication,
    pub(super) risk: Option<RiskLevel>,
    pub(super) reauthenticate_after: Option<u64>,
    pub(super) bound: bool,
    pub(super) confirmed: bool,
}

impl Proof {
    pub(super) fn evidence(&self) -> Evidence<'_> {
        let Self { authentication, risk, reauthenticate_after, bound, confirmed } = self;
        let evidence = Evidence::of(authentication).reauthenticate_after(*reauthenticate_after);
        evidence.risk(*risk).bound(*bound).confirmed(*confirmed)
    }
}

pub(super) fn proof() -> impl Strategy<Value = Proof> {
    (
        (vec(method(), 0..6), vec("[a-c]", 0..3), option::of(NOW - 700..NOW + 31)),
        (vec("s[a-c]", 0..4), prop::bool::weighted(0.9)),
        (option::of(level()), option::weighted(0.2, NOW - 700..NOW), any::<bool>(), any::<bool>()),
    )
        .prop_map(
            |(
                (methods, acr, auth_time),
                (scopes, may_step_up),
                (risk, after, bound, confirmed),
            )| {
                let methods: MethodSet = methods.into_iter().collect();
                let clock_skew = 30;
                Proof {
                    authentication: with!(Authentication::default(); methods,
                        acr,
                        auth_time,
                        scopes,
                        may_step_up,
                        clock_skew),
                    risk,
                    reauthenticate_after: after,
                    bound,
                    confirmed,
                }
            },
        )
}

/// Methods with different kinds of proof: only an acr, any evidence, or other methods.
pub(super) fn few_methods() -> impl Strategy<Value = Vec<Method>> {
    let few = vec![Method::Mfa, Method::Otp, Method::PhishingResistant, Method::Biometric];
    vec(proptest::sample::select(few), 0..3).prop_map(unique)
}

/// A requirement, and an issuer with its own levels and mappings.
pub(super) fn requirement_and_issuer() -> impl Strategy<Value = (Requirement, Profile)> {
    let required = (few_methods(), few_methods(), vec("[a-c]", 0..3).prop_map(unique));
    let issuer = (
        proptest::sample::subsequence(vec!["a", "b", "c"], 0..=3).prop_shuffle(),
        vec(("[a-c]", few_methods()), 0..4),
        vec((few_methods(), "[a-c]"), 0..3),
        any::<bool>(),
    );
    (required, issuer)
        .prop_map(|((methods, any_methods, acr), (order, proves, ask, states_amr))| {
            let requirement = with!(Requirement::default(); methods, any_methods, acr);
            let profile = Profile::default().acr_order(order).states_amr(states_amr);
            let profile = proves
                .into_iter()
                .fold(profile, |profile, (acr, methods)| profile.proves(acr, methods));
            // A requested acr can come back as another acr, so that `amr` must prove the method.
            let stated = |method: &Method| states_amr && *method != Method::PhishingResistant;
            let profile = ask.into_iter().fold(profile, |profile, (methods, acr)| {
                let methods = methods.into_iter().filter(stated);
                methods.fold(profile, |profile, method| profile.ask(method, [&acr]))
            });
            (requirement, profile)
        })
        .prop_filter("not empty", |(requirement, _)| {
            requirement.trust() == Trust::Sensitive && requirement.problems().is_empty()
        })
}

/// Two unrelated requirements, or two variants of one requirement.
pub(super) fn two_requirements() -> impl Strategy<Value = (Requirement, Requirement)> {
    let steps = || vec(stricter(), 0..3);
    let related =
        (requirement(), steps(), steps(), any::<bool>()).prop_map(|(base, one, two, swap)| {
            let tightened = |steps: Vec<Stricter>| {
                let mut requirement = base.clone();
                steps.into_iter().for_each(|step| tighten(&mut requirement, step));
                requirement
            };
            let pair = (tightened(one), tightened(two));
            if swap { (pair.1, pair.0) } else { pair }
        });
    prop_oneof![1 => (requirement(), requirement()), 3 => related]
}

/// One step of strengthening evidence.
#[derive(Debug, Clone)]
pub(super) enum Stronger {
    Method(Method),
    Fresher(u64),
    Scope(String),
    LowerRisk,
    Bound,
    Confirmed,
    MayStepUp,
}

pub(super) fn stronger() -> impl Strategy<Value = Stronger> {
    prop_oneof![
        method().prop_map(Stronger::Method),
        (0..700_u64).prop_map(Stronger::Fresher),
        "s[a-c]".prop_map(Stronger::Scope),
        Just(Stronger::LowerRisk),
        Just(Stronger::Bound),
        Just(Stronger::Confirmed),
        Just(Stronger::MayStepUp),
    ]
}

pub(super) fn strengthen(proof: &mut Proof, step: Stronger) {
    let authentication = &mut proof.authentication;
    match step {
        Stronger::Method(method) => authentication.methods.insert(method),
        Stronger::Fresher(by) => {
            let time = authentication.auth_time.map_or(NOW - 700, |time| time.saturating_add(by));
            // A time in the future beyond the skew is rejected, so it is not stronger.
            let newest = authentication.auth_time.unwrap_or(0).max(NOW);
            authentication.auth_time = Some(time.min(newest));
        }
        Stronger::Scope(scope) => authentication.scopes.push(scope),
        Stronger::LowerRisk => proof.risk = proof.risk.map(|_| RiskLevel::Low),
        Stronger::Bound => proof.bound = true,
        Stronger::Confirmed => proof.confirmed = true,
        Stronger::MayStepUp => authentication.may_step_up = true,
    }
}

/// One step of making a requirement stricter.
#[derive(Debug, Clone)]
pub(super) enum Stricter {
    Method(Method),
    LessAny,
    LessAcr,
    Younger(u32),
    Scope(String),
    Bound,
    PerAction,
    DenyLower,
    NoRisk,
    AlwaysStepUp,
}

pub(super) fn stricter() -> impl Strategy<Value = Stricter> {
    prop_oneof![
        method().prop_map(Stricter::Method),
        Just(Stricter::LessAny),
        Just(Stricter::LessAcr),
        (0..600_u32).prop_map(Stricter::Younger),
        "s[a-c]".prop_map(Stricter::Scope),
        Just(Stricter::Bound),
        Just(Stricter::PerAction),
        Just(Stricter::DenyLower),
        Just(Stricter::NoRisk),
        Just(Stricter::AlwaysStepUp),
    ]
}

pub(super) fn tighten(requirement: &mut Requirement, step: Stricter) {
    match step {
        Stricter::Method(method) => {
            requirement.methods.push(method);
        }
        Stricter::LessAny if requirement.any_methods.len() > 1 => {
            requirement.any_methods.pop();
        }
        Stricter::LessAcr if requirement.acr.len() > 1 => {
            requirement.acr.pop();
        }
        Stricter::LessAny | Stricter::LessAcr => {}
        Stricter::Younger(age) => {
            requirement.max_age = Some(requirement.max_age.map_or(age, |known| known.min(age)));
        }
        Stricter::Scope(scope) => requirement.scopes.push(scope),
        Stricter::Bound => requirement.bound = true,
        Stricter::PerAction => requirement.per_action = true,
        Stricter::DenyLower => {
            if let Some(rule) = &mut requirement.risk {
                rule.deny = rule.step_up.or(Some(RiskLevel::Low));
            }
        }
        // A rule that also denies must not be removed.
        Stricter::NoRisk => {
            requirement.risk = requirement.risk.take().filter(|rule| rule.deny.is_some());
        }
        Stricter::AlwaysStepUp => {
            // An unknown risk counts as the `step_up` level. If that equals the `deny` level, a lower `step_up`
            // level would allow callers of unknown risk, who were refused before.
            if let Some(RiskRule { step_up: Some(step_up), deny: Some(deny) }) =
                &mut requirement.risk
                && step_up < deny
            {
                *step_up = RiskLevel::Low;
            }
        }
    }
}

pub(super) fn path() -> impl Strategy<Value = String> {
    let segment = prop_oneof![3 => "[a-c]{1,2}", 1 => "\\{[p-r]\\}", 1 => "v-\\{[s-t]\\}"];
    (vec(segment, 0..4), any::<bool>())
        .prop_map(|(segments, slash)| {
            let end = if slash && !segments.is_empty() { "/" } else { "" };
            format!("/{}{end}", segments.join("/"))
        })
        .prop_filter("valid", |path| stepup_contract::check_path(path).is_ok())
}

/// Templates of few words, so that they overlap.
pub(super) fn template() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        4 => "[a-b]{1,2}", 2 => "\\{[p-s]\\}", 1 => "v-\\{t\\}", 1 => "va?", 1 => "~\\{u\\}", 1 => "~any~",
    ];
    let end = prop_oneof![4 => "", 1 => "/", 2 => "/\\{\\*rest\\}"];
    (vec(segment, 0..4), end).prop_map(|(segments, end)| {
        let path: String = segments.iter().map(|segment| format!("/{segment}")).collect();
        if path.is_empty() && end.is_empty() { "/".to_owned() } else { path + &end }
    })
}

/// An endpoint's method; `None` is any method.
pub(super) fn http_method() -> impl Strategy<Value = Option<HttpMethod>> {
    let methods = [None, Some(HttpMethod::Get), Some(HttpMethod::Post), Some(HttpMethod::Head)];
    proptest::sample::select(methods.to_vec())
}

/// Methods and templates, some of which lenient servers do not distinguish.
pub(super) fn lookalike() -> impl Strategy<Value = (Option<HttpMethod>, String)> {
    let words =
        ["a", "A", "a.json", "b", "a%20", "x.php", "v-{s}", "{p}", "{q}", "%C3%A9", "%C3%89"];
    let segment = proptest::sample::select(words.to_vec());
    let end = prop_oneof![4 => "", 1 => "/", 2 => "/\\{\\*rest\\}"];
    (http_method(), vec(segment, 0..3), end)
        .prop_map(|(method, segments, end)| {
            let path: String = segments.iter().map(|segment| format!("/{segment}")).collect();
            (method, if path.is_empty() && end.is_empty() { "/".to_owned() } else { path + &end })
        })
        .prop_filter("valid", |(_, path)| stepup_contract::check_path(path).is_ok())
}

/// Requests for such templates.
pub(super) fn lookalike_request() -> impl Strategy<Value = (String, String)> {
    let words = [
        "a", "A", "a.json", "b", "B.json", "a%20", "a+", "x.php", "v-1", "V-1", "%C3%A9", "%C3%89",
        "e", "%61", "",
    ];
    let segments = vec(proptest::sample::select(words.to_vec()), 1..4);
    (proptest::sample::select(vec!["GET", "POST", "HEAD", "PUT"]), segments).prop_map(
        |(method, segments)| {
            let path: String = segments.iter().map(|segment| format!("/{segment}")).collect();
            (method.to_owned(), path)
        },
    )
}

pub(super) fn endpoint() -> impl Strategy<Value = Endpoint> {
    let method = option::of(proptest::sample::select(HttpMethod::ALL.to_vec()));
    let handler = option::of("[a-z]{1,5}::[a-z]{1,5}");
    (method, path(), handler, requirement()).prop_map(|(method, path, handler, requirement)| {
        with!(Endpoint::new(path, requirement); method, handler)
    })
}
