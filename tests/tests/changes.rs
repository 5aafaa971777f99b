//! What changes between two contracts: each kind of change on its axis, by the requests that are concerned.
#![allow(clippy::expect_used, reason = "tests fail by panicking")]

use serde_json::{Value, json};
use stepup_contract::{Axis, Contract, Kind, compare};
use stepup_tests::contracts::{contract, endpoint};

/// The changes as axis, kind, route, and the keys of what is weakened and tightened.
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
fn each_part_of_a_requirement_weakens_one_way_and_tightens_the_other() {
    let mfa = |extra: Value| {
        let mut security = json!({"step-up": true, "methods": ["mfa"]});
        security
            .as_object_mut()
            .expect("an object")
            .extend(extra.as_object().cloned().expect("one"));
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
fn a_change_is_told_with_all_that_differs() {
    let of = |path: &str, handler: &str, security: Value| {
        let mut endpoint = endpoint("POST", path, &security);
        endpoint["handler"] = handler.into();
        contract("deny", &[endpoint])
    };
    let said = |old: &Contract, new: &Contract| {
        let changes = compare(old, new).expect("compared");
        changes.iter().flat_map(|change| change.sentences()).collect::<Vec<_>>()
    };
    let hwk = of("/a/{id}", "h::a", json!({"step-up": true, "methods": ["hwk"]}));
    let any = json!({"step-up": true, "any-methods": ["hwk", "face"]});
    assert_eq!(
        said(&hwk, &of("/a/{key}", "h::b", any)),
        [
            "methods weakened: [\"hwk\"] → not required",
            "any-methods: not required → [\"hwk\",\"face\"]",
            "moved from h::a to h::b",
            "renamed from /a/{id} to /a/{key}",
        ]
    );
    let standard = of("/a/{id}", "h::a", json!({"step-up": false}));
    assert_eq!(said(&hwk, &standard)[0], "trust weakened: sensitive → standard");
    assert_eq!(said(&standard, &hwk)[0], "trust tightened: standard → sensitive");
    let one = of("/a/{id}", "h::a", json!({"step-up": true, "acr": ["a", "b"]}));
    let two = of("/a/{id}", "h::a", json!({"step-up": true, "acr": ["b", "a"]}));
    assert_eq!(said(&one, &two), ["lets the same people in", "acr: [\"a\",\"b\"] → [\"b\",\"a\"]"]);
}

/// Where the path did not take the method, servers that look further find the endpoint that has it for its own before
/// one that takes any, whatever its parameters are called.
#[test]
fn what_a_server_goes_on_to_is_compared_by_its_own_method() {
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
        let of_me = found.iter().find(|(.., route, _)| route == "POST /a/me").expect("it is told");
        assert_eq!(of_me.0, axis, "{name}: {found:?}");
    }
}

/// A small contract can hold more pairs than can be looked at, which are never called harmless.
#[test]
fn endpoints_that_nobody_could_tell_apart_are_not_compared_for_ever() {
    let standard = json!({"step-up": false});
    let spelled = (0..1024).map(|bits: u32| {
        let letter = |at: u32| if bits & (1 << at) == 0 { 'a' } else { 'A' };
        let path: String = (0..10).map(letter).collect();
        endpoint("GET", &format!("/{path}"), &standard)
    });
    let spelled: Vec<Value> = spelled.collect();
    let more = [&spelled[..], &[endpoint("GET", "/b", &standard)]].concat();
    let (spelled, more) = (contract("deny", &spelled), contract("deny", &more));
    assert!(compare(&spelled, &more).is_err());
    assert_eq!(compare(&spelled, &spelled), Ok(Vec::new()), "the very same is no question");
    let many = (0..2000).map(|at| stepup_contract::Method::custom(&format!("m{at}")).expect("one"));
    let many: Vec<_> = many.collect();
    let (half, rest) = (many[..1000].to_vec(), many[1000..].to_vec());
    let old = stepup_contract::Requirement {
        methods: half.clone(),
        any_methods: rest.clone(),
        ..Default::default()
    };
    let backwards = |list: Vec<_>| list.into_iter().rev().collect();
    let new = stepup_contract::Requirement {
        methods: backwards(half),
        any_methods: backwards(rest),
        ..Default::default()
    };
    assert!(stepup_contract::gaps(&old, &new).is_empty());
}

#[test]
fn what_says_the_same_in_other_words_is_neutral() {
    let of = |security: Value| contract("deny", &[endpoint("GET", "/x", &security)]);
    let one = of(json!({"step-up": true, "methods": ["hwk"]}));
    let any = of(json!({"step-up": true, "any-methods": ["hwk"]}));
    for (old, new) in [(&any, &one), (&one, &any)] {
        let found = changes(old, new);
        assert_eq!(found, [(Axis::Neutral, Kind::Changed, "GET /x".into(), " | ".into())]);
    }
    // An issuer's acr may prove the group and none of its methods.
    let any = of(json!({"step-up": true, "any-methods": ["face", "fpt", "iris", "retina", "vbm"]}));
    let group = of(json!({"step-up": true, "methods": ["biometric"]}));
    assert_eq!(compare(&any, &group).expect("compared")[0].axis(), Axis::Weakened);
    assert_eq!(compare(&group, &any).expect("compared")[0].axis(), Axis::Tightened);
    let acr = |list: Value| of(json!({"step-up": true, "acr": list}));
    let (one, two) = (acr(json!(["a", "b"])), acr(json!(["b", "a"])));
    assert_eq!(
        compare(&one, &two).expect("compared")[0].axis(),
        Axis::Neutral,
        "the order of preference"
    );
}

#[test]
fn routes_are_compared_by_the_requests_that_they_take() {
    let mfa = json!({"step-up": true, "methods": ["mfa"]});
    let standard = json!({"step-up": false});
    let strict = |path| endpoint("GET", path, &mfa);
    let open = |path| endpoint("GET", path, &standard);
    let handled = |path, handler: &str| {
        let mut endpoint = strict(path);
        endpoint["handler"] = handler.into();
        endpoint
    };
    let one = |list: &[Value]| contract("deny", list);
    let cases = [
        (
            "a parameter's name",
            one(&[strict("/a/{id}")]),
            one(&[strict("/a/{key}")]),
            vec![(Axis::Neutral, Kind::Renamed, "GET /a/{key}")],
        ),
        (
            "moved to another handler",
            one(&[handled("/a", "bank::a")]),
            one(&[handled("/a", "bank::b")]),
            vec![(Axis::Neutral, Kind::Moved, "GET /a")],
        ),
        (
            "new, and for some servers the same",
            one(&[strict("/pay")]),
            one(&[strict("/pay"), open("/Pay")]),
            vec![(Axis::Weakened, Kind::Added, "GET /Pay")],
        ),
        (
            "new, and the same for some servers, which asks as much",
            one(&[strict("/pay")]),
            one(&[strict("/pay"), strict("/Pay"), open("/payments")]),
            vec![
                (Axis::Neutral, Kind::Added, "GET /Pay"),
                (Axis::Neutral, Kind::Added, "GET /payments"),
            ],
        ),
        (
            "new, for some servers the same, and another's before",
            one(&[strict("/pay"), open("/{*rest}")]),
            one(&[strict("/pay"), open("/{*rest}"), open("/Pay")]),
            vec![(Axis::Weakened, Kind::Renamed, "GET /Pay")],
        ),
        (
            "new, and the same without an extension",
            one(&[strict("/docs/secret"), open("/docs/{name}")]),
            one(&[strict("/docs/secret"), open("/docs/{name}"), open("/docs/secret.html")]),
            vec![(Axis::Weakened, Kind::Renamed, "GET /docs/secret.html")],
        ),
        (
            "a new method of a spelling that was there",
            one(&[endpoint("POST", "/pay", &mfa), open("/Pay")]),
            one(&[
                endpoint("POST", "/pay", &mfa),
                open("/Pay"),
                endpoint("POST", "/Pay", &standard),
            ]),
            vec![(Axis::Weakened, Kind::Added, "POST /Pay")],
        ),
        (
            "new, and for some servers what a wildcard takes that takes nothing",
            one(&[strict("/admin/{*rest}")]),
            one(&[strict("/admin/{*rest}"), open("/admin")]),
            vec![(Axis::Weakened, Kind::Added, "GET /admin")],
        ),
        (
            "both new",
            one(&[]),
            one(&[strict("/pay"), open("/Pay")]),
            vec![
                (Axis::Neutral, Kind::Added, "GET /Pay"),
                (Axis::Neutral, Kind::Added, "GET /pay"),
            ],
        ),
        (
            "covered, and for some servers another",
            contract("allow", &[strict("/pay")]),
            contract("allow", &[strict("/pay"), open("/pay/")]),
            vec![(Axis::Weakened, Kind::Covered, "GET /pay/")],
        ),
        (
            "covered, and for some servers what a wildcard takes that takes nothing",
            contract("allow", &[strict("/admin/{*rest}")]),
            contract("allow", &[strict("/admin/{*rest}"), open("/admin")]),
            vec![(Axis::Weakened, Kind::Covered, "GET /admin")],
        ),
        (
            "gone",
            one(&[strict("/a"), strict("/b")]),
            one(&[strict("/a")]),
            vec![(Axis::Weakened, Kind::Gone, "GET /b")],
        ),
        (
            "new",
            one(&[strict("/a")]),
            one(&[strict("/a"), open("/b")]),
            vec![(Axis::Neutral, Kind::Added, "GET /b")],
        ),
        (
            "put in front of a parameter",
            one(&[strict("/a/{id}")]),
            one(&[strict("/a/{id}"), open("/a/me")]),
            vec![(Axis::Weakened, Kind::Changed, "GET /a/me")],
        ),
        (
            "put in front of a wildcard",
            one(&[strict("/{*rest}")]),
            one(&[strict("/{*rest}"), open("/a/{b}/c")]),
            vec![(Axis::Weakened, Kind::Changed, "GET /a/{b}/c")],
        ),
        (
            "a method put in front of a parameter",
            one(&[strict("/a/{id}"), endpoint("POST", "/a/me", &mfa)]),
            one(&[strict("/a/{id}"), endpoint("POST", "/a/me", &mfa), open("/a/me")]),
            vec![(Axis::Weakened, Kind::Changed, "GET /a/me")],
        ),
        (
            "no more in front of it",
            one(&[open("/{*rest}"), strict("/a")]),
            one(&[open("/{*rest}")]),
            vec![(Axis::Weakened, Kind::Changed, "GET /{*rest}")],
        ),
        (
            "crossing another",
            one(&[strict("/a/{x}/c")]),
            one(&[strict("/a/{x}/c"), open("/a/b/{y}")]),
            vec![
                (Axis::Weakened, Kind::Changed, "GET /a/b/{y}"),
                (Axis::Neutral, Kind::Added, "GET /a/b/{y}"),
            ],
        ),
        (
            "a method taken out of any",
            one(&[endpoint("", "/a", &mfa)]),
            one(&[endpoint("", "/a", &mfa), open("/a")]),
            vec![(Axis::Weakened, Kind::Changed, "GET /a")],
        ),
        (
            "a HEAD of its own",
            one(&[strict("/a")]),
            one(&[strict("/a"), endpoint("HEAD", "/a", &standard)]),
            vec![(Axis::Weakened, Kind::Changed, "HEAD /a")],
        ),
        (
            "a prefix beside a parameter",
            one(&[strict("/{page}")]),
            one(&[endpoint("GET", "/{page}", &standard), strict("/~{user}")]),
            vec![
                (Axis::Weakened, Kind::Changed, "GET /{page}"),
                (Axis::Neutral, Kind::Renamed, "GET /~{user}"),
            ],
        ),
        (
            "a path with the name of what stands for any",
            one(&[strict("/{page}")]),
            one(&[endpoint("GET", "/{page}", &standard), strict("/~any~")]),
            vec![
                (Axis::Weakened, Kind::Changed, "GET /{page}"),
                (Axis::Neutral, Kind::Renamed, "GET /~any~"),
            ],
        ),
        (
            "any method where one was",
            one(&[strict("/a")]),
            one(&[endpoint("", "/a", &mfa)]),
            vec![(Axis::Neutral, Kind::Added, "any method /a")],
        ),
    ];
    for (what, old, new, expected) in cases {
        let found: Vec<_> = compare(&old, &new)
            .expect("compared")
            .iter()
            .map(|change| (change.axis(), change.kind, change.route().unwrap_or_default()))
            .collect();
        let expected: Vec<_> = expected.into_iter().map(|(a, k, r)| (a, k, r.to_owned())).collect();
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn what_no_endpoint_takes_counts_too() {
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
        "it was let through"
    );
    assert_eq!(compare(&covered, &open).expect("compared")[0].axis(), Axis::Weakened);
}
