//! What holds for every contract and every decision.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod fingerprints;
mod generated;
mod witness;

use generated::{
    NOW, asked_and_issuer, endpoint, many_spelled, many_spelled_request, method, proof,
    requirement, strengthen, stricter, stronger, taken, template, tighten, two_requirements,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::json;
use stepup_contract::{
    Authentication, Axis, Contract, Decision, Endpoint, Evidence, HttpMethod, Matcher, Method,
    Published, Reason, Requirement, RiskLevel, Severity, Trust, compare, decide, findings, gaps,
    steps,
};
use witness::{allows, witness};

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

    /// And whatever an issuer's tokens prove by its profile, no gap is overlooked.
    #[test]
    fn where_there_is_no_gap_no_issuers_token_is_let_in_anew(
        (old, new) in two_requirements(),
        issuers in vec((asked_and_issuer(), vec(method(), 0..4), option::of("[a-c]"), 0..700_u64), 6),
    ) {
        if !gaps(&old, &new).is_empty() {
            return Ok(());
        }
        for ((_, profile), amr, acr, age) in issuers {
            let amr: Vec<&str> = amr.iter().map(Method::amr).collect();
            let scope = new.scopes.join(" ");
            let claims = json!({"amr": amr, "acr": acr, "auth_time": NOW - age, "scope": scope});
            let authentication = profile.authentication(claims.as_object().unwrap());
            let risks = [None].into_iter().chain(RiskLevel::ALL.map(Some));
            for (risk, bound) in risks.flat_map(|risk| [(risk, true), (risk, false)]) {
                let evidence = Evidence { risk, bound, ..Evidence::of(&authentication) };
                let allowed = |requirement| decide(requirement, &evidence, NOW) == Decision::Allow;
                prop_assert!(!allowed(&new) || allowed(&old), "{evidence:?}");
            }
        }
    }

    /// For endpoints that stand in both contracts, whatever stands beside them, `compare` says weakened exactly when
    /// some evidence exists that the new contract allows and the old one refuses.
    #[test]
    fn an_endpoint_is_weakened_exactly_when_somebody_is_let_in_who_was_refused(
        endpoints in vec((template(), taken(), two_requirements()), 1..4)
    ) {
        let of = |side: fn(&(Requirement, Requirement)) -> &Requirement| {
            let endpoints = endpoints.iter().map(|(path, method, both)| Endpoint {
                method: *method,
                path: path.clone(),
                handler: None,
                requirement: side(both).clone(),
            });
            Contract::new("s", "1", endpoints)
        };
        let (Ok(old), Ok(new)) = (of(|both| &both.0), of(|both| &both.1)) else { return Ok(()) };
        let changes = compare(&old, &new).expect("compared");
        for (path, method, (before, after)) in &endpoints {
            let is = |endpoint: &Option<Endpoint>| {
                endpoint.as_ref().is_some_and(|e| e.path == *path && e.method == *method)
            };
            let mut own = changes.iter().filter(|change| is(&change.old) && is(&change.new));
            let weakened = own.any(|change| change.axis() == Axis::Weakened);
            let found = witness(before, after);
            prop_assert_eq!(weakened, found.is_some(), "{}: {:?}", path, found);
        }
        // And it says so of nothing else: each endpoint's requests are its own in both.
        for change in changes {
            let route = |endpoint: Option<Endpoint>| endpoint.map(|endpoint| endpoint.route());
            prop_assert_eq!(route(change.old), route(change.new));
        }
    }

    /// A new endpoint lets in nobody who was refused for how servers read a path, and for what another endpoint
    /// asks, unless `compare` says so.
    #[test]
    fn no_new_endpoint_takes_unnoticed_what_was_refused_as_ambiguous(
        old in vec(many_spelled(), 1..4), new in many_spelled(), allow in any::<bool>(),
        requests in vec(many_spelled_request(), 60)
    ) {
        let endpoint = |(method, path): &(Option<HttpMethod>, String), age| Endpoint {
            method: *method,
            path: path.clone(),
            handler: None,
            requirement: Requirement { max_age: Some(age), ..Requirement::default() },
        };
        let old: Vec<Endpoint> = old.iter().map(|one| endpoint(one, 60)).collect();
        let more = [&old[..], &[endpoint(&new, 600)]].concat();
        let unlisted = if allow { "\"allow\"" } else { "\"deny\"" };
        let of = |endpoints| {
            let contract = Contract::new("s", "1", endpoints)?;
            Contract::parse(contract.to_json().replace("\"deny\"", unlisted))
        };
        let (Ok(old), Ok(more)) = (of(old), of(more)) else { return Ok(()) };
        let changes = compare(&old, &more).expect("compared");
        let weakened = changes.iter().any(|change| change.axis() == Axis::Weakened);
        let (before, after) = (Matcher::new(&old), Matcher::new(&more));
        for (method, path) in requests {
            let strict = !matches!(before.find(method.as_str(), &path), Ok(None));
            let Ok(Some(taker)) = after.find(method.as_str(), &path) else { continue };
            let weak = taker.requirement.max_age == Some(600);
            prop_assert!(weakened || !(strict && weak), "{method} {path} of {new:?} in {:?}", old.endpoints().iter().map(Endpoint::route).collect::<Vec<_>>());
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

/// Each part of a requirement is what alone tells some of the generated pairs apart.
#[test]
fn the_generators_reach_every_gap_by_itself() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut alone: std::collections::BTreeMap<&str, usize> = Default::default();
    for _ in 0..5000 {
        let (old, new) = two_requirements().new_tree(&mut runner).unwrap().current();
        if let [only] = gaps(&old, &new)[..] {
            *alone.entry(only.key()).or_default() += 1;
        }
    }
    // A step-up that is not asked for any more leaves out what it asked for as well.
    let fields = [
        "acr",
        "any-methods",
        "bound",
        "max-age",
        "methods",
        "per-action",
        "risk",
        "risk/deny",
        "scopes",
    ];
    assert_eq!(Vec::from_iter(alone.keys().copied()), fields, "{alone:?}");
    assert!(alone.values().all(|count| *count >= 20), "{alone:?}");
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
