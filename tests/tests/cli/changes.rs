//! Changes between two contracts: the kind and the axis of each change, and the requests that it affects.

use serde_json::{Value, json};
use stepup_contract::{
    Axis, Contract, Kind, Method, Requirement, Rule, compare, lints, weakened_fields,
};
use stepup_tests::contracts::{contract, endpoint};

/// Each change as its axis, kind, route, and the keys of the weakened and the tightened fields.
fn changes(old: &Contract, new: &Contract) -> Vec<(Axis, Kind, String, String)> {
    let keys = |fields: &[stepup_contract::Field]| {
        fields.iter().map(|field| field.key()).collect::<Vec<_>>().join(" ")
    };
    compare(old, new)
        .expect("compared")
        .iter()
        .map(|change| {
            let route = change.route().unwrap_or_default();
            let fields = format!("{} | {}", keys(&change.weakened), keys(&change.tightened));
            (change.axis(), change.kind, route, fields)
        })
        .collect()
}

#[test]
fn a_field_weakened_in_one_direction_is_tightened_in_the_other() {
    let mfa = |extra: Value| {
        let mut security = json!({"step-up": true, "methods": ["mfa"]});
        security
            .as_object_mut()
            .expect("an object")
            .extend(extra.as_object().cloned().expect("an object"));
        security
    };
    let standard = || json!({"step-up": false});
    for (strict, loose, field) in [
        (mfa(json!({})), standard(), "step-up methods"),
        (mfa(json!({"max-age": 300})), mfa(json!({"max-age": 600})), "max-age"),
        (mfa(json!({"max-age": 300})), mfa(json!({})), "max-age"),
        (mfa(json!({"acr": ["gold"]})), mfa(json!({"acr": ["gold", "silver"]})), "acr"),
        (mfa(json!({"scopes": ["pay"]})), mfa(json!({})), "scopes"),
        (mfa(json!({"bound": true})), mfa(json!({})), "bound"),
        (mfa(json!({"per-action": true})), mfa(json!({})), "per-action"),
        (mfa(json!({})), mfa(json!({"risk": {"step-up": "medium"}})), "risk"),
        (
            mfa(json!({"risk": {"deny": "medium"}})),
            mfa(json!({"risk": {"deny": "high"}})),
            "risk/deny",
        ),
        (mfa(json!({"methods": ["mfa", "hwk"]})), mfa(json!({})), "methods"),
        (
            json!({"step-up": true, "any-methods": ["hwk"]}),
            json!({"step-up": true, "any-methods": ["hwk", "otp"]}),
            "any-methods",
        ),
        (
            json!({"step-up": true, "methods": ["face"]}),
            json!({"step-up": true, "methods": ["biometric"]}),
            "methods",
        ),
    ] {
        let of = |security: &Value| contract("deny", &[endpoint("POST", "/pay", security)]);
        let (strict, loose) = (of(&strict), of(&loose));
        let route = || "POST /pay".to_owned();
        assert_eq!(
            changes(&strict, &loose),
            [(Axis::Weakened, Kind::Changed, route(), format!("{field} | "))]
        );
        assert_eq!(
            changes(&loose, &strict),
            [(Axis::Tightened, Kind::Changed, route(), format!(" | {field}"))]
        );
        assert_eq!(changes(&strict, &strict), []);
    }
}

#[test]
fn a_change_lists_every_difference() {
    let of = |path: &str, handler: &str, security: Value| {
        let mut endpoint = endpoint("POST", path, &security);
        endpoint["handler"] = handler.into();
        contract("deny", &[endpoint])
    };
    let sentences = |old: &Contract, new: &Contract| {
        let changes = compare(old, new).expect("compared");
        changes.iter().flat_map(|change| change.sentences()).collect::<Vec<_>>()
    };
    let hwk = of("/a/{id}", "h::a", json!({"step-up": true, "methods": ["hwk"]}));
    let any = json!({"step-up": true, "any-methods": ["hwk", "face"]});
    assert_eq!(
        sentences(&hwk, &of("/a/{key}", "h::b", any)),
        [
            "methods weakened: hwk → not required",
            "any-methods: not required → hwk or face",
            "moved from h::a to h::b",
            "renamed from /a/{id} to /a/{key}",
        ]
    );
    let standard = of("/a/{id}", "h::a", json!({"step-up": false}));
    assert_eq!(sentences(&hwk, &standard)[0], "trust weakened: sensitive → standard");
    assert_eq!(sentences(&standard, &hwk)[0], "trust tightened: standard → sensitive");
    let otp = of("/a/{id}", "h::a", json!({"step-up": true, "methods": ["otp"], "max-age": 90}));
    assert_eq!(
        sentences(&hwk, &otp),
        ["methods weakened and tightened: hwk → otp", "max-age tightened: not required → 90 s"]
    );
    let risk =
        json!({"step-up": true, "methods": ["hwk"], "risk": {"step-up": "medium", "deny": "high"}});
    assert_eq!(
        sentences(&hwk, &of("/a/{id}", "h::a", risk)),
        [
            "risk weakened: not required → step-up from medium, refused from high",
            "risk tightened: not required → refused from high",
        ]
    );
    let one = of("/a/{id}", "h::a", json!({"step-up": true, "acr": ["a", "b"]}));
    let two = of("/a/{id}", "h::a", json!({"step-up": true, "acr": ["b", "a"]}));
    assert_eq!(sentences(&one, &two), ["authorizes the same callers", "acr: a or b → b or a"]);
}

#[test]
fn opening_an_endpoint_to_everybody_is_weakened() {
    let of = |trust: &str, reason: Option<&str>, security: Value| {
        let mut endpoint = endpoint("POST", "/a", &security);
        endpoint["trust"] = trust.into();
        if let Some(reason) = reason {
            endpoint["reason"] = reason.into();
        }
        contract("deny", &[endpoint])
    };
    let public = of("public", Some("signed"), json!({"step-up": false}));
    let standard = of("standard", None, json!({"step-up": false}));
    let scoped = of("standard", None, json!({"step-up": false, "scopes": ["a"], "bound": true}));
    let sensitive = of("sensitive", None, json!({"step-up": true, "methods": ["mfa"]}));
    for (strict, fields) in
        [(&standard, "step-up"), (&scoped, "step-up scopes bound"), (&sensitive, "step-up methods")]
    {
        let [(axis, kind, _, found)] = &changes(strict, &public)[..] else { panic!("one change") };
        assert_eq!((*axis, *kind), (Axis::Weakened, Kind::Changed));
        assert_eq!(*found, format!("{fields} | "));
        let [(axis, .., found)] = &changes(&public, strict)[..] else { panic!("one change") };
        assert_eq!((*axis, found.as_str()), (Axis::Tightened, format!(" | {fields}").as_str()));
    }
    let sentences =
        |old: &Contract, new: &Contract| compare(old, new).expect("compared")[0].sentences();
    assert_eq!(
        sentences(&standard, &public),
        ["trust weakened: standard → public", "reason: none → signed"]
    );
    let none = contract("deny", &[]);
    assert_eq!(compare(&none, &public).expect("compared")[0].axis(), Axis::Weakened);
    assert_eq!(sentences(&none, &public), ["is new, and public: signed"]);
    assert_eq!(compare(&none, &standard).expect("compared")[0].axis(), Axis::Neutral);
    let open = contract("allow", &[]);
    let covered = compare(&open, &public).expect("compared");
    assert!(
        covered.iter().all(|change| change.kind != Kind::Covered || change.axis() == Axis::Neutral)
    );
    let other = of("public", Some("tested"), json!({"step-up": false}));
    assert_eq!(
        sentences(&public, &other),
        ["authorizes the same callers", "reason: signed → tested"]
    );
}

/// If the most specific path does not support the method, lenient servers try less specific paths. Among those, they
/// prefer an endpoint with this method to one with any method, regardless of the parameter names.
#[test]
fn a_lenient_server_falls_back_to_an_exact_method_before_any_method() {
    let mfa = json!({"step-up": true, "methods": ["mfa"]});
    let standard = json!({"step-up": false});
    for (name, strict, loose) in [("id", true, false), ("z", true, false), ("a", false, true)] {
        let mut any = json!({"path": format!("/a/{{{name}}}")});
        any["security"] = if strict { standard.clone() } else { mfa.clone() };
        let own = endpoint("POST", "/a/{key}", if strict { &mfa } else { &standard });
        let old = [endpoint("GET", "/a/me", &standard), any, own];
        let new = [&old[..], &[endpoint("POST", "/a/me", &standard)]].concat();
        let found = changes(&contract("deny", &old), &contract("deny", &new));
        let axis = if loose { Axis::Neutral } else { Axis::Weakened };
        let of_me = found
            .iter()
            .find(|(.., route, _)| route == "POST /a/me")
            .expect("a change of this route");
        assert_eq!(of_me.0, axis, "{name}: {found:?}");
    }
}

/// The comparison of requirements does not take exponential time.
#[test]
fn requirements_with_thousands_of_methods_are_compared() {
    let many = (0..2000).map(|at| Method::custom(&format!("m{at}")).expect("a method"));
    let many: Vec<_> = many.collect();
    let requirement = |methods: &[Method], any_methods: &[Method]| {
        let mut requirement = Requirement::default();
        requirement.methods = methods.to_vec();
        requirement.any_methods = any_methods.to_vec();
        requirement
    };
    let reversed: Vec<_> = many.iter().rev().cloned().collect();
    let old = requirement(&many[..1000], &many[1000..]);
    let new = requirement(&reversed[1000..], &reversed[..1000]);
    assert!(weakened_fields(&old, &new).is_empty());
}

/// Lookalikes (`/pay` and `/Pay`) are not a change; `stepup check` reports them.
#[test]
fn a_new_lookalike_is_neutral_in_a_diff_and_an_error_in_a_check() {
    let mfa = json!({"step-up": true, "methods": ["mfa"]});
    let standard = json!({"step-up": false});
    let old = contract("deny", &[endpoint("GET", "/pay", &mfa)]);
    let new =
        contract("deny", &[endpoint("GET", "/pay", &mfa), endpoint("GET", "/Pay", &standard)]);
    let found = changes(&old, &new);
    assert_eq!(found[0], (Axis::Neutral, Kind::Added, "GET /Pay".into(), " | ".into()));
    let lints = lints(&new, 3600);
    assert!(lints.iter().any(|lint| lint.rule == Rule::Lookalike), "{lints:?}");
}

#[test]
fn an_equivalent_requirement_in_another_form_is_neutral() {
    let of = |security: Value| contract("deny", &[endpoint("GET", "/x", &security)]);
    let one = of(json!({"step-up": true, "methods": ["hwk"]}));
    let any = of(json!({"step-up": true, "any-methods": ["hwk"]}));
    for (old, new) in [(&any, &one), (&one, &any)] {
        let found = changes(old, new);
        assert_eq!(found, [(Axis::Neutral, Kind::Changed, "GET /x".into(), " | ".into())]);
    }
    // An acr of the issuer can prove the group without proving any of its methods.
    let any = of(json!({"step-up": true, "any-methods": ["face", "fpt", "iris", "retina", "vbm"]}));
    let group = of(json!({"step-up": true, "methods": ["biometric"]}));
    assert_eq!(compare(&any, &group).expect("compared")[0].axis(), Axis::Weakened);
    assert_eq!(compare(&group, &any).expect("compared")[0].axis(), Axis::Tightened);
    let acr = |list: Value| of(json!({"step-up": true, "acr": list}));
    let (one, two) = (acr(json!(["a", "b"])), acr(json!(["b", "a"])));
    assert_eq!(
        compare(&one, &two).expect("compared")[0].axis(),
        Axis::Neutral,
        "only the order of preference differs"
    );
}

#[test]
fn routes_are_compared_by_the_requests_that_they_match() {
    let mfa = json!({"step-up": true, "methods": ["mfa"]});
    let standard = json!({"step-up": false});
    let strict = |path| endpoint("GET", path, &mfa);
    let open = |path| endpoint("GET", path, &standard);
    let handled = |path, handler: &str| {
        let mut endpoint = strict(path);
        endpoint["handler"] = handler.into();
        endpoint
    };
    let deny = |list: &[Value]| contract("deny", list);
    let cases = [
        (
            "a renamed parameter",
            deny(&[strict("/a/{id}")]),
            deny(&[strict("/a/{key}")]),
            vec![(Axis::Neutral, Kind::Renamed, "GET /a/{key}")],
        ),
        (
            "a new handler for the same route",
            deny(&[handled("/a", "bank::a")]),
            deny(&[handled("/a", "bank::b")]),
            vec![(Axis::Neutral, Kind::Moved, "GET /a")],
        ),
        (
            "a removed endpoint",
            deny(&[strict("/a"), strict("/b")]),
            deny(&[strict("/a")]),
            vec![(Axis::Weakened, Kind::Gone, "GET /b")],
        ),
        (
            "a new endpoint",
            deny(&[strict("/a")]),
            deny(&[strict("/a"), open("/b")]),
            vec![(Axis::Neutral, Kind::Added, "GET /b")],
        ),
        (
            "a new static path that shadows a parameter",
            deny(&[strict("/a/{id}")]),
            deny(&[strict("/a/{id}"), open("/a/me")]),
            vec![(Axis::Weakened, Kind::Changed, "GET /a/me")],
        ),
        (
            "a new path that shadows a wildcard",
            deny(&[strict("/{*rest}")]),
            deny(&[strict("/{*rest}"), open("/a/{b}/c")]),
            vec![(Axis::Weakened, Kind::Changed, "GET /a/{b}/c")],
        ),
        (
            "a new method on a static path that shadows a parameter",
            deny(&[strict("/a/{id}"), endpoint("POST", "/a/me", &mfa)]),
            deny(&[strict("/a/{id}"), endpoint("POST", "/a/me", &mfa), open("/a/me")]),
            vec![(Axis::Weakened, Kind::Changed, "GET /a/me")],
        ),
        (
            "a removed path that shadowed a wildcard",
            deny(&[open("/{*rest}"), strict("/a")]),
            deny(&[open("/{*rest}")]),
            vec![(Axis::Weakened, Kind::Changed, "GET /{*rest}")],
        ),
        (
            "a new path that overlaps another",
            deny(&[strict("/a/{x}/c")]),
            deny(&[strict("/a/{x}/c"), open("/a/b/{y}")]),
            vec![
                (Axis::Weakened, Kind::Changed, "GET /a/b/{y}"),
                (Axis::Neutral, Kind::Added, "GET /a/b/{y}"),
            ],
        ),
        (
            "a new exact method next to any method",
            deny(&[endpoint("", "/a", &mfa)]),
            deny(&[endpoint("", "/a", &mfa), open("/a")]),
            vec![(Axis::Weakened, Kind::Changed, "GET /a")],
        ),
        (
            "a new HEAD endpoint next to GET",
            deny(&[strict("/a")]),
            deny(&[strict("/a"), endpoint("HEAD", "/a", &standard)]),
            vec![(Axis::Weakened, Kind::Changed, "HEAD /a")],
        ),
        (
            "a new prefixed parameter next to a parameter",
            deny(&[strict("/{page}")]),
            deny(&[endpoint("GET", "/{page}", &standard), strict("/~{user}")]),
            vec![
                (Axis::Weakened, Kind::Changed, "GET /{page}"),
                (Axis::Neutral, Kind::Renamed, "GET /~{user}"),
            ],
        ),
        (
            "a path equal to the internal placeholder",
            deny(&[strict("/{page}")]),
            deny(&[endpoint("GET", "/{page}", &standard), strict("/~any~")]),
            vec![
                (Axis::Weakened, Kind::Changed, "GET /{page}"),
                (Axis::Neutral, Kind::Renamed, "GET /~any~"),
            ],
        ),
        (
            "one method replaced by any method",
            deny(&[strict("/a")]),
            deny(&[endpoint("", "/a", &mfa)]),
            vec![(Axis::Neutral, Kind::Added, "any method /a")],
        ),
    ];
    for (case, old, new, expected) in cases {
        let found: Vec<_> = compare(&old, &new)
            .expect("compared")
            .iter()
            .map(|change| (change.axis(), change.kind, change.route().unwrap_or_default()))
            .collect();
        let expected: Vec<_> = expected.into_iter().map(|(a, k, r)| (a, k, r.to_owned())).collect();
        assert_eq!(found, expected, "{case}");
    }
}

#[test]
fn a_change_for_unlisted_requests_is_reported() {
    let mfa = endpoint("GET", "/a", &json!({"step-up": true, "methods": ["mfa"]}));
    let (closed, open) = (contract("deny", &[]), contract("allow", &[]));
    assert_eq!(changes(&closed, &open)[0].1, Kind::UnlistedOpened);
    assert_eq!(compare(&closed, &open).expect("compared")[0].axis(), Axis::Weakened);
    assert_eq!(changes(&open, &closed)[0].1, Kind::UnlistedClosed);
    assert_eq!(compare(&open, &closed).expect("compared")[0].axis(), Axis::Tightened);
    let covered = contract("allow", &[mfa]);
    assert_eq!(
        compare(&open, &covered).expect("compared")[0].axis(),
        Axis::Tightened,
        "unlisted requests were allowed"
    );
    assert_eq!(compare(&covered, &open).expect("compared")[0].axis(), Axis::Weakened);
}
