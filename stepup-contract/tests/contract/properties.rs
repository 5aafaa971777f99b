//! Properties of every contract and every decision.

mod generated;
mod witness;

use generated::{
    NOW, Proof, endpoint, http_method, lookalike, lookalike_request, method, proof, requirement,
    requirement_and_issuer, strengthen, stricter, stronger, template, tighten, two_requirements,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::json;
use stepup_contract::{
    Authentication, Axis, Contract, Decision, Endpoint, Evidence, HttpMethod, Matcher, Method,
    Published, Reason, Requirement, RiskLevel, Rule, Severity, Trust, compare, decide, findings,
    lints, trace, weakened_fields,
};
use witness::{allows, witness};

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// `compare` considers every pair of endpoints that match the same request.
    #[test]
    fn compare_considers_every_pair_of_endpoints_that_share_a_request(
        old in vec(template(), 0..5), new in vec(template(), 0..5),
        requests in vec(vec("[a-c]|v-[ab]|~[ab]?|~any~|", 0..5), 0..40)
    ) {
        // Each endpoint has its own age, so each pair is a separate change.
        let of = |templates: Vec<String>, first: u32| {
            let endpoints = templates.into_iter().zip(first..).map(|(path, age)| {
                Endpoint::new(path, with!(Requirement::default(); max_age: Some(age)))
            });
            Contract::new("s", "1", endpoints)
        };
        let (Ok(old), Ok(new)) = (of(old, 0), of(new, 100)) else { return Ok(()) };
        let known: Vec<_> = compare(&old, &new).expect("compared").into_iter().map(|c| (c.old, c.new)).collect();
        let (old_table, new_table) = (old.table(), new.table());
        for request in requests {
            let path = format!("/{}", request.join("/"));
            let pair = (old_table.find("GET", &path), new_table.find("GET", &path));
            let pair = (pair.0.cloned(), pair.1.cloned());
            prop_assert!(pair == (None, None) || known.contains(&pair), "{path}: {pair:?}");
        }
    }

    /// `weakened_fields` names a field exactly when some evidence satisfies the new requirement and not the old one.
    #[test]
    fn a_field_is_weakened_exactly_when_the_new_requirement_allows_evidence_that_the_old_refuses(
        (old, new) in two_requirements()
    ) {
        let found = witness(&old, &new);
        let weakened = weakened_fields(&old, &new);
        prop_assert_eq!(!weakened.is_empty(), found.is_some(), "{:?}: {:?}", weakened, found);
    }

    /// Without a weakened field, the new requirement allows no token that the old one refuses, for any issuer profile.
    #[test]
    fn without_a_weakened_field_no_token_is_newly_allowed(
        (old, new) in two_requirements(),
        issuers in vec((requirement_and_issuer(), vec(method(), 0..4), option::of("[a-c]"), 0..700_u64), 6),
    ) {
        if !weakened_fields(&old, &new).is_empty() {
            return Ok(());
        }
        for ((_, profile), amr, acr, age) in issuers {
            let amr: Vec<&str> = amr.iter().map(Method::amr).collect();
            let scope = new.scopes.join(" ");
            let claims = json!({"amr": amr, "acr": acr, "auth_time": NOW - age, "scope": scope});
            let authentication = profile.authentication(claims.as_object().unwrap());
            let risks = [None].into_iter().chain(RiskLevel::ALL.map(Some));
            for (risk, bound) in risks.flat_map(|risk| [(risk, true), (risk, false)]) {
                let evidence = Evidence::of(&authentication).risk(risk).bound(bound);
                let allowed = |requirement| decide(requirement, &evidence, NOW) == Decision::Allow;
                prop_assert!(!allowed(&new) || allowed(&old), "{evidence:?}");
            }
        }
    }

    /// `compare` reports an endpoint of both contracts as weakened exactly when some evidence satisfies the new
    /// requirement and not the old one. Other endpoints do not matter.
    #[test]
    fn an_endpoint_is_weakened_exactly_when_a_refused_caller_is_now_allowed(
        endpoints in vec((template(), http_method(), two_requirements()), 1..4)
    ) {
        let of = |side: fn(&(Requirement, Requirement)) -> &Requirement| {
            let endpoints = endpoints.iter().map(|(path, method, both)| {
                with!(Endpoint::new(path.as_str(), side(both).clone()); method: *method)
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
        // No other change exists: each endpoint matches the same requests in both contracts.
        for change in changes {
            let route = |endpoint: Option<Endpoint>| endpoint.map(|endpoint| endpoint.route());
            prop_assert_eq!(route(change.old), route(change.new));
        }
    }

    /// A new endpoint does not match requests that were refused as ambiguous, unless `compare` or the lint `lookalike`
    /// reports the endpoint.
    #[test]
    fn a_new_endpoint_that_matches_ambiguous_requests_is_reported(
        old in vec(lookalike(), 1..4), new in lookalike(), allow in any::<bool>(),
        requests in vec(lookalike_request(), 60)
    ) {
        let endpoint = |(method, path): &(Option<HttpMethod>, String), age| {
            let requirement = with!(Requirement::default(); max_age: Some(age));
            with!(Endpoint::new(path.as_str(), requirement); method: *method)
        };
        let old: Vec<Endpoint> = old.iter().map(|route| endpoint(route, 60)).collect();
        let more = [&old[..], &[endpoint(&new, 600)]].concat();
        let unlisted = if allow { "\"allow\"" } else { "\"deny\"" };
        let of = |endpoints| {
            let contract = Contract::new("s", "1", endpoints)?;
            Contract::parse(contract.to_json().replace("\"deny\"", unlisted))
        };
        let (Ok(old), Ok(more)) = (of(old), of(more)) else { return Ok(()) };
        let changes = compare(&old, &more).expect("compared");
        let weakened = changes.iter().any(|change| change.axis() == Axis::Weakened);
        let reported = weakened || lints(&more, 3600).iter().any(|lint| lint.rule == Rule::Lookalike);
        let (before, after) = (Matcher::new(&old), Matcher::new(&more));
        for (method, path) in requests {
            let strict = !matches!(before.find(method.as_str(), &path), Ok(None));
            let Ok(Some(endpoint)) = after.find(method.as_str(), &path) else { continue };
            let weak = endpoint.requirement.max_age == Some(600);
            prop_assert!(reported || !(strict && weak), "{method} {path} of {new:?} in {:?}", old.endpoints().iter().map(Endpoint::route).collect::<Vec<_>>());
        }
    }

    /// No requirement is weaker than itself.
    #[test]
    fn a_requirement_is_not_weaker_than_itself(requirement in requirement()) {
        prop_assert_eq!(weakened_fields(&requirement, &requirement), []);
    }

    /// A requirement without an error can be satisfied by a login at an acr value of the challenge, with the methods
    /// that `amr` can state. A requirement with an error cannot be satisfied by any login.
    #[test]
    fn an_error_is_reported_exactly_when_no_login_satisfies_the_requirement(
        (requirement, profile) in requirement_and_issuer()
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
        let required = requirement.methods.iter().chain(&requirement.any_methods);
        let stated = |method: &Method| match method {
            Method::Biometric => "face".to_owned(),
            other => other.amr().to_owned(),
        };
        let amr: Vec<String> =
            required.filter(|method| profile.amr_can_prove(method)).map(stated).collect();
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
    fn printing_and_parsing_return_the_same_contract(endpoints in vec(endpoint(), 0..6)) {
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
    fn every_step_of_the_trace_is_satisfied_exactly_when_the_decision_is_allow(
        requirement in requirement(),
        proof in proof(),
    ) {
        let steps = trace(&requirement, &proof.evidence(), NOW);
        prop_assert_eq!(steps.iter().all(|step| step.satisfied), allows(&requirement, &proof, NOW));
        prop_assert!(steps.iter().all(|step| step.required.is_some() || step.satisfied));
    }

    /// A required reauthentication only adds refusals, and only at endpoints that require a step-up.
    #[test]
    fn a_required_reauthentication_refuses_exactly_the_authentications_that_are_not_later(
        requirement in requirement(),
        proof in proof(),
        after in NOW - 700..NOW,
    ) {
        let without = Proof { reauthenticate_after: None, ..proof.clone() };
        let with = Proof { reauthenticate_after: Some(after), ..proof };
        let later = with.authentication.auth_time.is_some_and(|time| time > after);
        let waived = requirement.risk.zip(with.risk).is_some_and(|(rule, risk)| {
            rule.step_up.is_some_and(|from| risk < from)
        });
        let counts = later || waived || requirement.trust() != Trust::Sensitive;
        prop_assert_eq!(allows(&requirement, &with, NOW), allows(&requirement, &without, NOW) && counts);
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
    fn passing_time_never_turns_a_refusal_into_an_allow(
        requirement in requirement(),
        proof in proof(),
        later in 0..1000_u64,
    ) {
        // From this time on, an authentication time in the future is no longer a reason to refuse.
        let before = allows(&requirement, &proof, NOW + 31);
        prop_assert!(before || !allows(&requirement, &proof, NOW + 31 + later));
    }

    #[test]
    fn empty_evidence_satisfies_no_sensitive_requirement(requirement in requirement()) {
        prop_assume!(requirement.trust() == Trust::Sensitive);
        let nothing = with!(Authentication::default(); may_step_up: true);
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
                endpoints.push(Endpoint::new(path, requirement));
            }
        }
        let table = Contract::new("s", "1", endpoints).unwrap().table();
        for path in paths {
            let found = table.find("GET", &path).map(|endpoint| endpoint.path.as_str());
            prop_assert_eq!(found, router.at(&path).ok().map(|at| at.value.as_str()), "{}", path);
        }
    }

    #[test]
    fn the_parser_does_not_panic(text in "\\PC{0,80}") {
        let _ = Contract::parse(&text);
        let _ = stepup_contract::check_path(&text);
    }
}

/// For each field, some generated pairs differ in that field only.
#[test]
fn the_generators_cover_every_weakened_field() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut alone: std::collections::BTreeMap<&str, usize> = Default::default();
    for _ in 0..5000 {
        let (old, new) = two_requirements().new_tree(&mut runner).unwrap().current();
        if let [only] = weakened_fields(&old, &new)[..] {
            *alone.entry(only.key()).or_default() += 1;
        }
    }
    // `step-up` is missing: an endpoint that loses it also loses other fields.
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

/// The properties above are not vacuous: both outcomes occur.
#[test]
fn the_generators_cover_allow_and_every_reason_for_a_refusal() {
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
