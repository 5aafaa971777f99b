//! What holds for every contract and every decision.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::json;
use stepup_contract::{
    Authentication, Axis, Contract, Decision, Endpoint, Evidence, HttpMethod, Method, MethodSet,
    Profile, Published, Reason, Requirement, RiskLevel, RiskRule, Severity, Trust, compare, decide,
    findings, gaps, steps,
};

const NOW: u64 = 1_800_000_000;

fn method() -> impl Strategy<Value = Method> {
    let named: Vec<Method> = Method::named().cloned().collect();
    prop_oneof![
        8 => proptest::sample::select(named),
        1 => "x[a-c]{1,2}".prop_map(|name| Method::custom(&name).unwrap()),
    ]
}

fn unique<T: PartialEq>(list: Vec<T>) -> Vec<T> {
    let mut unique = Vec::new();
    for item in list {
        if !unique.contains(&item) {
            unique.push(item);
        }
    }
    unique
}

fn level() -> impl Strategy<Value = RiskLevel> {
    proptest::sample::select(RiskLevel::ALL.to_vec())
}

fn rule() -> impl Strategy<Value = RiskRule> {
    (option::of(level()), option::of(level()))
        .prop_map(|(step_up, deny)| RiskRule { step_up, deny })
        .prop_filter("asks something", |rule| rule.step_up.is_some() || rule.deny.is_some())
        .prop_filter("in order", |rule| rule.deny.is_none() || rule.deny >= rule.step_up)
}

fn requirement() -> impl Strategy<Value = Requirement> {
    let sensitive = (
        (vec(method(), 0..3), vec(method(), 0..3), vec("[a-c]", 0..3), option::of(0..600_u32)),
        vec("s[a-c]", 0..3),
        (option::of(rule()), any::<bool>(), any::<bool>()),
    )
        .prop_map(
            |((methods, any_methods, acr, max_age), scopes, (risk, bound, per_action))| {
                Requirement {
                    methods: unique(methods),
                    any_methods: unique(any_methods),
                    acr: unique(acr),
                    max_age,
                    scopes: unique(scopes),
                    risk,
                    bound,
                    per_action,
                }
            },
        );
    let standard = (vec("s[a-c]", 0..3), any::<bool>()).prop_map(|(scopes, bound)| Requirement {
        scopes: unique(scopes),
        bound,
        ..Requirement::default()
    });
    prop_oneof![3 => sensitive, 1 => standard]
        .prop_filter("a meaningful one", |requirement| requirement.problems().is_empty())
}

#[derive(Debug, Clone)]
struct Proof {
    authentication: Authentication,
    risk: Option<RiskLevel>,
    bound: bool,
    confirmed: bool,
}

impl Proof {
    fn evidence(&self) -> Evidence<'_> {
        let Self { authentication, risk, bound, confirmed } = self;
        Evidence { authentication, risk: *risk, bound: *bound, confirmed: *confirmed }
    }
}

fn proof() -> impl Strategy<Value = Proof> {
    (
        (vec(method(), 0..6), vec("[a-c]", 0..3), option::of(NOW - 700..NOW + 31)),
        (vec("s[a-c]", 0..4), prop::bool::weighted(0.9)),
        (option::of(level()), any::<bool>(), any::<bool>()),
    )
        .prop_map(
            |((methods, acr, auth_time), (scopes, may_step_up), (risk, bound, confirmed))| {
                let methods: MethodSet = methods.into_iter().collect();
                let clock_skew = 30;
                Proof {
                    authentication: Authentication {
                        methods,
                        acr,
                        auth_time,
                        scopes,
                        may_step_up,
                        clock_skew,
                    },
                    risk,
                    bound,
                    confirmed,
                }
            },
        )
}

/// Methods of which one is proven by an acr only, one by anything, and one by others.
fn few_methods() -> impl Strategy<Value = Vec<Method>> {
    let few = vec![Method::Mfa, Method::Otp, Method::PhishingResistant, Method::Biometric];
    vec(proptest::sample::select(few), 0..3).prop_map(unique)
}

/// What is asked, and an issuer with levels, mappings and proofs of its own.
fn asked_and_issuer() -> impl Strategy<Value = (Requirement, Profile)> {
    let asked = (few_methods(), few_methods(), vec("[a-c]", 0..3).prop_map(unique));
    let issuer = (
        proptest::sample::subsequence(vec!["a", "b", "c"], 0..=3).prop_shuffle(),
        vec(("[a-c]", few_methods()), 0..4),
        vec((few_methods(), "[a-c]"), 0..3),
        any::<bool>(),
    );
    (asked, issuer)
        .prop_map(|((methods, any_methods, acr), (order, proves, ask, states_amr))| {
            let requirement = Requirement { methods, any_methods, acr, ..Requirement::default() };
            let profile = Profile::default().acr_order(order).states_amr(states_amr);
            let profile = proves
                .into_iter()
                .fold(profile, |profile, (acr, methods)| profile.proves(acr, methods));
            // What is only asked for may come back as another acr; here it is proven by amr.
            let asked = |method: &Method| states_amr && *method != Method::PhishingResistant;
            let profile = ask.into_iter().fold(profile, |profile, (methods, acr)| {
                let methods = methods.into_iter().filter(asked);
                methods.fold(profile, |profile, method| profile.ask(method, [&acr]))
            });
            (requirement, profile)
        })
        .prop_filter("asks something", |(requirement, _)| {
            requirement.trust() == Trust::Sensitive && requirement.problems().is_empty()
        })
}

/// Two that have nothing to do with each other, or one and itself after steps in one direction, then in
/// the other.
fn two_requirements() -> impl Strategy<Value = (Requirement, Requirement)> {
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

/// Evidence that `new` allows and `old` refuses, among all that could make the difference: the methods
/// that either asks for, in each way in which they can be proven, all acr values and ages around the
/// limits, all risks, and each scope left out.
fn witness(old: &Requirement, new: &Requirement) -> Option<Proof> {
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
        // The profile's own reading closes the set. A group's name states nothing, and an acr may prove
        // it by itself, so that it is put in.
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
                        for flags in 0..4 {
                            let proof = Proof {
                                authentication: Authentication {
                                    methods: methods.clone(),
                                    acr: acr.iter().map(|acr| (*acr).clone()).collect(),
                                    auth_time: age.map(|age| NOW - age),
                                    scopes: scopes.clone(),
                                    may_step_up: true,
                                    clock_skew: 0,
                                },
                                risk: *risk,
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

fn allows(requirement: &Requirement, proof: &Proof, now: u64) -> bool {
    decide(requirement, &proof.evidence(), now) == Decision::Allow
}

/// One step of strengthening evidence.
#[derive(Debug, Clone)]
enum Stronger {
    Method(Method),
    Fresher(u64),
    Scope(String),
    LowerRisk,
    Bound,
    Confirmed,
    MayStepUp,
}

fn stronger() -> impl Strategy<Value = Stronger> {
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

fn strengthen(proof: &mut Proof, step: Stronger) {
    let authentication = &mut proof.authentication;
    match step {
        Stronger::Method(method) => authentication.methods.insert(method),
        Stronger::Fresher(by) => {
            let time = authentication.auth_time.map_or(NOW - 700, |time| time.saturating_add(by));
            // Times in the future beyond the skew are not believed, and so are not stronger.
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
enum Stricter {
    Method(Method),
    LessAny,
    LessAcr,
    Younger(u32),
    Scope(String),
    Bound,
    PerAction,
    DenyLower,
    AlwaysStepUp,
}

fn stricter() -> impl Strategy<Value = Stricter> {
    prop_oneof![
        method().prop_map(Stricter::Method),
        Just(Stricter::LessAny),
        Just(Stricter::LessAcr),
        (0..600_u32).prop_map(Stricter::Younger),
        "s[a-c]".prop_map(Stricter::Scope),
        Just(Stricter::Bound),
        Just(Stricter::PerAction),
        Just(Stricter::DenyLower),
        Just(Stricter::AlwaysStepUp),
    ]
}

fn tighten(requirement: &mut Requirement, step: Stricter) {
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
        Stricter::AlwaysStepUp => {
            // An unknown risk counts as the level to step up from: where that is the one to deny from, it
            // would be let in by a lower one.
            if let Some(RiskRule { step_up: Some(step_up), deny: Some(deny) }) =
                &mut requirement.risk
                && step_up < deny
            {
                *step_up = RiskLevel::Low;
            }
        }
    }
}

fn path() -> impl Strategy<Value = String> {
    let segment = prop_oneof![3 => "[a-c]{1,2}", 1 => "\\{[p-r]\\}", 1 => "v-\\{[s-t]\\}"];
    (vec(segment, 0..4), any::<bool>())
        .prop_map(|(segments, slash)| {
            let end = if slash && !segments.is_empty() { "/" } else { "" };
            format!("/{}{end}", segments.join("/"))
        })
        .prop_filter("a sound one", |path| stepup_contract::check_path(path).is_ok())
}

/// Templates of few words, so that they overlap.
fn template() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        4 => "[a-b]{1,2}", 2 => "\\{[p-s]\\}", 1 => "v-\\{t\\}", 1 => "va?", 1 => "~\\{u\\}", 1 => "~any~",
    ];
    let end = prop_oneof![4 => "", 1 => "/", 2 => "/\\{\\*rest\\}"];
    (vec(segment, 0..4), end).prop_map(|(segments, end)| {
        let path: String = segments.iter().map(|segment| format!("/{segment}")).collect();
        if path.is_empty() && end.is_empty() { "/".to_owned() } else { path + &end }
    })
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    let method = option::of(proptest::sample::select(HttpMethod::ALL.to_vec()));
    let handler = option::of("[a-z]{1,5}::[a-z]{1,5}");
    (method, path(), handler, requirement()).prop_map(|(method, path, handler, requirement)| {
        Endpoint { method, path, handler, requirement }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every request meets in two contracts what one of the samples meets: no pair of endpoints is
    /// overlooked by `compare`.
    #[test]
    fn no_request_meets_two_endpoints_that_are_not_compared(
        old in vec(template(), 0..5), new in vec(template(), 0..5),
        requests in vec(vec("[a-c]|v-[ab]|~[ab]?|~any~|", 0..5), 0..40)
    ) {
        // Each endpoint asks for another age, so that each pair is a change of its own.
        let of = |templates: Vec<String>, first: u32| {
            let endpoints = templates.into_iter().zip(first..).map(|(path, age)| Endpoint {
                method: None,
                path,
                handler: None,
                requirement: Requirement { max_age: Some(age), ..Requirement::default() },
            });
            Contract::new("s", "1", endpoints)
        };
        let (Ok(old), Ok(new)) = (of(old, 0), of(new, 100)) else { return Ok(()) };
        let known: Vec<_> = compare(&old, &new).expect("compared").into_iter().map(|c| (c.old, c.new)).collect();
        let (old_table, new_table) = (old.table(), new.table());
        for request in requests {
            let path = format!("/{}", request.join("/"));
            let met = (old_table.find("GET", &path), new_table.find("GET", &path));
            let met = (met.0.cloned(), met.1.cloned());
            prop_assert!(met == (None, None) || known.contains(&met), "{path}: {met:?}");
        }
    }

    /// `gaps` is exact: it names a part exactly when some evidence exists that the new requirement
    /// allows and the old one refuses. Searched for among the evidence that could make the difference.
    #[test]
    fn a_gap_is_there_exactly_when_the_new_lets_in_whom_the_old_refuses(
        (old, new) in two_requirements()
    ) {
        let found = witness(&old, &new);
        let gaps = gaps(&old, &new);
        prop_assert_eq!(!gaps.is_empty(), found.is_some(), "{:?}: {:?}", gaps, found);
    }

    /// For endpoints that stand in both contracts, whatever stands beside them, `compare` says weakened exactly when
    /// some evidence exists that the new contract allows and the old one refuses.
    #[test]
    fn an_endpoint_is_weakened_exactly_when_somebody_is_let_in_who_was_refused(
        endpoints in vec((template(), two_requirements()), 1..4)
    ) {
        let of = |side: fn(&(Requirement, Requirement)) -> &Requirement| {
            let endpoints = endpoints.iter().map(|(path, both)| Endpoint {
                method: None,
                path: path.clone(),
                handler: None,
                requirement: side(both).clone(),
            });
            Contract::new("s", "1", endpoints)
        };
        let (Ok(old), Ok(new)) = (of(|both| &both.0), of(|both| &both.1)) else { return Ok(()) };
        let changes = compare(&old, &new).expect("compared");
        for (path, (before, after)) in &endpoints {
            let is = |endpoint: &Option<Endpoint>| endpoint.as_ref().is_some_and(|e| e.path == *path);
            let mut own = changes.iter().filter(|change| is(&change.old) && is(&change.new));
            let weakened = own.any(|change| change.axis() == Axis::Weakened);
            let found = witness(before, after);
            prop_assert_eq!(weakened, found.is_some(), "{}: {:?}", path, found);
        }
        // And it says so of nothing else: each endpoint's requests are its own in both.
        for change in changes {
            prop_assert_eq!(change.old.map(|e| e.path), change.new.map(|e| e.path));
        }
    }

    /// Nothing is weakened against itself, and what is stricter in one part is weakened in that part
    /// when it is taken back.
    #[test]
    fn a_requirement_has_no_gap_against_itself(requirement in requirement()) {
        prop_assert_eq!(gaps(&requirement, &requirement), []);
    }

    /// What is not found to be an error can be satisfied by a login that the challenge asks for, at
    /// one of the acr values that it offers, with what `amr` can state; what is found to be one, by none.
    #[test]
    fn an_error_is_found_exactly_when_no_login_satisfies(
        (requirement, profile) in asked_and_issuer()
    ) {
        let endpoint = json!({"path": "/", "security": requirement});
        let contract = Contract::parse(endpoint.to_string()).unwrap();
        let all = ["a", "b", "c", "mfa", "otp", "biometric", "phishing_resistant"];
        let published = Published {
            acr_values: Some(all.map(str::to_owned).to_vec()),
            ..Published::default()
        };
        let found = findings(&contract, &profile, Some(&published), &["ES256"]);
        let refused = found.iter().any(|finding| finding.severity == Severity::Error);
        let asked = requirement.methods.iter().chain(&requirement.any_methods);
        let stated = |method: &Method| match method {
            Method::Biometric => "face".to_owned(),
            other => other.amr().to_owned(),
        };
        let amr: Vec<String> =
            asked.filter(|method| profile.amr_can_prove(method)).map(stated).collect();
        let offered = profile.acr_values(&requirement);
        let satisfies = |acr: &str| {
            let claims = json!({"acr": acr, "amr": amr});
            let authentication = profile.authentication(claims.as_object().unwrap());
            decide(&requirement, &Evidence::of(&authentication), NOW) == Decision::Allow
        };
        if refused {
            let any = ["a", "b", "c", ""].into_iter().find(|acr| satisfies(acr));
            prop_assert_eq!(any, None, "{:?}: {:?}", requirement, found);
            return Ok(());
        }
        let satisfied = offered.iter().any(|acr| satisfies(acr));
        prop_assert!(satisfied, "{requirement:?} offers {offered:?} with amr {amr:?}");
    }

    #[test]
    fn what_is_printed_reads_back_the_same(endpoints in vec(endpoint(), 0..6)) {
        let mut kept: Vec<Endpoint> = Vec::new();
        for endpoint in endpoints {
            let mut trial = kept.clone();
            trial.push(endpoint);
            if Contract::new("s", "1", trial.clone()).is_ok() {
                kept = trial;
            }
        }
        let contract = Contract::new("s", "1", kept).unwrap();
        let text = contract.to_json();
        let again = Contract::parse(&text).unwrap();
        prop_assert_eq!(&again, &contract);
        prop_assert_eq!(again.to_json(), text);
    }

    #[test]
    fn every_step_holds_exactly_when_the_decision_is_to_allow(
        requirement in requirement(),
        proof in proof(),
    ) {
        let steps = steps(&requirement, &proof.evidence(), NOW);
        prop_assert_eq!(steps.iter().all(|step| step.holds), allows(&requirement, &proof, NOW));
        prop_assert!(steps.iter().all(|step| step.asked.is_some() || step.holds));
    }

    #[test]
    fn stronger_evidence_never_turns_an_allow_into_a_refusal(
        requirement in requirement(),
        proof in proof(),
        steps in vec(stronger(), 1..4),
    ) {
        let before = allows(&requirement, &proof, NOW);
        let mut stronger = proof;
        for step in steps {
            strengthen(&mut stronger, step);
        }
        prop_assert!(!before || allows(&requirement, &stronger, NOW));
    }

    #[test]
    fn a_stricter_requirement_never_turns_a_refusal_into_an_allow(
        requirement in requirement(),
        proof in proof(),
        steps in vec(stricter(), 1..4),
    ) {
        let before = allows(&requirement, &proof, NOW);
        let mut stricter = requirement;
        for step in steps {
            tighten(&mut stricter, step);
        }
        prop_assert!(before || !allows(&stricter, &proof, NOW));
    }

    #[test]
    fn time_that_passes_never_turns_a_refusal_into_an_allow(
        requirement in requirement(),
        proof in proof(),
        later in 0..1000_u64,
    ) {
        // Beyond the moment when an authentication ahead of our clock begins to be believed.
        let before = allows(&requirement, &proof, NOW + 31);
        prop_assert!(before || !allows(&requirement, &proof, NOW + 31 + later));
    }

    #[test]
    fn nothing_at_all_satisfies_no_sensitive_requirement(requirement in requirement()) {
        prop_assume!(requirement.trust() == Trust::Sensitive);
        let nothing = Authentication { may_step_up: true, ..Authentication::default() };
        let decision = decide(&requirement, &Evidence::of(&nothing), NOW);
        prop_assert_ne!(decision, Decision::Allow);
    }

    #[test]
    fn the_table_finds_what_axums_matcher_finds(
        templates in vec(template(), 1..8),
        paths in vec("(/[a-b]{0,2}|/v-[a-b]?){1,4}", 1..20),
    ) {
        let mut router = matchit::Router::new();
        let mut endpoints = Vec::new();
        for path in templates {
            if stepup_contract::check_path(&path).is_ok() && router.insert(&path, path.clone()).is_ok() {
                let requirement = Requirement::default();
                endpoints.push(Endpoint { method: None, path, handler: None, requirement });
            }
        }
        let table = Contract::new("s", "1", endpoints).unwrap().table();
        for path in paths {
            let found = table.find("GET", &path).map(|endpoint| endpoint.path.as_str());
            prop_assert_eq!(found, router.at(&path).ok().map(|at| at.value.as_str()), "{}", path);
        }
    }

    #[test]
    fn the_contracts_parser_does_not_panic(text in "\\PC{0,80}") {
        let _ = Contract::parse(&text);
        let _ = stepup_contract::check_path(&text);
    }
}

/// So that the properties above speak of something: both outcomes occur.
#[test]
fn the_generators_reach_allows_and_every_kind_of_refusal() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut allows, mut reasons) = (0, std::collections::HashSet::new());
    for _ in 0..5000 {
        let requirement = requirement().new_tree(&mut runner).unwrap().current();
        let proof = proof().new_tree(&mut runner).unwrap().current();
        match decide(&requirement, &proof.evidence(), NOW) {
            Decision::Allow => allows += 1,
            Decision::Refuse(Reason::StepUp(_)) => drop(reasons.insert("step-up".to_owned())),
            Decision::Refuse(reason) => drop(reasons.insert(format!("{reason:?}"))),
        }
    }
    assert!(allows > 500, "{allows}");
    assert_eq!(reasons.len(), 6, "{reasons:?}");
}
