//! The names of changes, by which a waiver knows them: the same as long as the very change is there, and no other's.
#![allow(clippy::expect_used, reason = "tests fail by panicking")]

use serde_json::{Value, json};
use stepup_contract::{Axis, Contract, Kind, compare};
use stepup_tests::contracts::{contract, endpoint};

#[test]
fn a_fingerprint_is_the_same_however_lists_are_ordered_and_handlers_are_called() {
    let print = |methods: Value, handler: &str| {
        let of = |age: u32| {
            let security = json!({"step-up": true, "methods": methods, "max-age": age});
            let mut endpoint = endpoint("POST", "/pay", &security);
            endpoint["handler"] = handler.into();
            contract("deny", &[endpoint])
        };
        compare(&of(300), &of(900)).expect("compared")[0].fingerprint()
    };
    assert_eq!(print(json!(["hwk", "mfa"]), "a"), print(json!(["mfa", "hwk"]), "b"));
    // Of one that is weakened by what it may be taken for alone, where its handler stands is no part.
    let mfa = json!({"step-up": true, "methods": ["mfa"]});
    let print = |handler: &str| {
        let general = json!({"path": "/{x}", "handler": "h::any", "security": {"step-up": false}});
        let mut twin = endpoint("GET", "/Pay", &json!({"step-up": false}));
        twin["handler"] = handler.into();
        let old = [endpoint("GET", "/pay", &mfa), general];
        let new = [&old[..], &[twin]].concat();
        let changes = compare(&contract("deny", &old), &contract("deny", &new)).expect("compared");
        assert_eq!(changes[0].axis(), Axis::Weakened);
        changes[0].fingerprint()
    };
    assert_eq!(print("h::any"), print("h::other"));
}

#[test]
fn a_waiver_of_some_requests_is_none_of_the_others() {
    let mfa = json!({"step-up": true, "methods": ["mfa"]});
    let standard = json!({"step-up": false});
    let files = || endpoint("POST", "/files/{*rest}", &mfa);
    let get = |path: &str| endpoint("GET", path, &standard);
    let all = contract("deny", &[files()]);
    let some = contract("deny", &[files(), get("/files/index")]);
    let more = contract("deny", &[files(), get("/files/index"), get("/files/help")]);
    let none = contract("deny", &[get("/files/index")]);
    let gone = |old: &Contract, new: &Contract| {
        let changes = compare(old, new).expect("compared");
        let gone = changes.into_iter().find(|change| change.kind == Kind::Gone);
        gone.expect("one that is gone")
    };
    let part = gone(&all, &some);
    assert_eq!(part.requests, ["POST /files/index"]);
    let whole = gone(&some, &none);
    assert_eq!(whole.requests, [""; 0]);
    let fingerprints: std::collections::BTreeSet<String> =
        [part, whole, gone(&all, &more), gone(&some, &more)]
            .iter()
            .map(stepup_contract::Change::fingerprint)
            .collect();
    assert_eq!(fingerprints.len(), 4);
    // Two paths of one length are not one path.
    let deep = |path: &str| {
        compare(&contract("deny", &[get(path)]), &contract("deny", &[])).expect("compared")
    };
    assert_ne!(deep("/{a}/{b}")[0].fingerprint(), deep("/{*all}")[0].fingerprint());
}

#[test]
fn a_fingerprint_stays_while_the_change_does_and_no_longer() {
    let of = |age: u32, path: &str, others: &[Value]| {
        let security = json!({"step-up": true, "max-age": age});
        contract("deny", &[&[endpoint("GET", path, &security)], others].concat())
    };
    let other = endpoint("GET", "/other", &json!({"step-up": false}));
    let print =
        |old: &Contract, new: &Contract| compare(old, new).expect("compared")[0].fingerprint();
    let raised = print(&of(300, "/a/{x}", &[]), &of(600, "/a/{x}", &[]));
    assert_eq!(raised.len(), 16);
    assert_eq!(
        raised,
        print(
            &of(300, "/a/{y}", std::slice::from_ref(&other)),
            &of(600, "/a/{z}", std::slice::from_ref(&other))
        )
    );
    assert_ne!(raised, print(&of(300, "/a/{x}", &[]), &of(900, "/a/{x}", &[])));
    assert_ne!(raised, print(&of(300, "/b/{x}", &[]), &of(600, "/b/{x}", &[])));
}

/// What takes requests away, or gives them back, makes another change of it; what does neither is nothing to it.
#[test]
fn a_fingerprint_tells_these_requests_except_those() {
    let (mfa, standard) = (json!({"step-up": true, "methods": ["mfa"]}), json!({"step-up": false}));
    let get = |path: &str| endpoint("GET", path, &standard);
    let print = |kind: Kind, old: &[Value], new: &[Value]| {
        let changes = compare(&contract("deny", old), &contract("deny", new)).expect("compared");
        let files = |change: &&stepup_contract::Change| {
            let path = change.old.as_ref().map(|old| &*old.path);
            change.kind == kind && path == Some("/files/{*rest}")
        };
        changes.iter().find(files).expect("one").fingerprint()
    };
    let (strict, loose) =
        (endpoint("POST", "/files/{*rest}", &mfa), endpoint("POST", "/files/{*rest}", &standard));
    // As they are with these endpoints beside the weakened one, on both sides.
    let weakened = |others: &[Value]| {
        let (strict, loose) = ([strict.clone()], [loose.clone()]);
        print(Kind::Changed, &[&strict, others].concat(), &[&loose, others].concat())
    };
    let (alone, excepted) = (weakened(&[]), weakened(&[get("/files/{x}")]));
    assert_ne!(alone, excepted);
    // More general ones have none of the requests, whether or not they cross; neither has what is apart.
    for other in ["/{*all}", "/{folder}/index", "/{folder}/{*rest}", "/file/{x}"] {
        assert_eq!(weakened(&[get(other)]), alone, "{other}");
    }
    // Within what is excepted, nothing more is.
    assert_eq!(weakened(&[get("/files/{x}"), get("/files/index")]), excepted);
    assert_ne!(weakened(&[get("/files/{x}"), get("/files/a/b")]), excepted);
    // What is gone, and what is gone but for another's requests.
    let gone = |new: &[Value]| print(Kind::Gone, std::slice::from_ref(&strict), new);
    let taken = endpoint("POST", "/files/{x}", &mfa);
    assert_ne!(gone(&[]), gone(std::slice::from_ref(&taken)));
    // A path that does not take the method leaves it without an endpoint, inside of what another takes.
    assert_ne!(gone(std::slice::from_ref(&taken)), gone(&[taken.clone(), get("/files/index")]));
    // What no endpoint takes is gone, whatever takes other methods of it.
    assert_eq!(gone(&[]), gone(&[get("/files/index")]));
    assert_eq!(
        gone(std::slice::from_ref(&taken)),
        gone(&[taken.clone(), endpoint("POST", "/files/index", &mfa)])
    );
    let old = [strict.clone(), get("/files/index")];
    let whole = print(Kind::Gone, std::slice::from_ref(&strict), &[]);
    assert_ne!(print(Kind::Gone, &old, &[get("/files/index")]), whole);
}

#[test]
fn a_waiver_is_for_all_requests_that_a_change_concerns() {
    let mfa = json!({"step-up": true, "methods": ["mfa"]});
    let standard = json!({"step-up": false});
    let weakened = |old: &Contract, new: &Contract| {
        let mut changes = compare(old, new).expect("compared").into_iter();
        changes.find(|change| change.axis() == Axis::Weakened).expect("one").fingerprint()
    };
    // Of one endpoint more may be left than of the other.
    let old = contract("deny", &[endpoint("", "/{*rest}", &mfa)]);
    let open = endpoint("", "/{*rest}", &standard);
    let pay = endpoint("", "/pay/{*rest}", &mfa);
    let (some, all) = (contract("deny", &[open.clone(), pay]), contract("deny", &[open]));
    assert_ne!(weakened(&old, &some), weakened(&old, &all));
    // One segment is not all that lies below.
    let old = contract("allow", &[endpoint("", "/{*rest}", &mfa)]);
    let with =
        |path| contract("allow", &[endpoint("", "/{*rest}", &mfa), endpoint("GET", path, &mfa)]);
    assert_ne!(weakened(&old, &with("/a/{x}")), weakened(&old, &with("/a/{*y}")));
    // What no endpoint takes is the same change, whatever else there is.
    let opened = |extra: &[Value]| {
        let changes = compare(&contract("deny", &[]), &contract("allow", extra)).expect("compared");
        let opened = changes.iter().find(|change| change.kind == Kind::UnlistedOpened);
        opened.expect("one").fingerprint()
    };
    assert_eq!(opened(&[]), opened(&[endpoint("GET", "/a", &mfa)]));
    // Nor is a waiver of what could be taken for one endpoint good when that asks for more.
    let beside = |asked: &Value| {
        let old = contract("deny", &[endpoint("GET", "/pay", asked)]);
        let new = [endpoint("GET", "/pay", asked), endpoint("GET", "/Pay", &standard)];
        weakened(&old, &contract("deny", &new))
    };
    let more = json!({"step-up": true, "methods": ["mfa", "hwk"]});
    let moved = json!({"step-up": true, "methods": ["hwk", "mfa"]});
    assert_ne!(beside(&mfa), beside(&more));
    assert_eq!(beside(&more), beside(&moved));
    // The names of parameters do not count, and neither do other endpoints.
    let twin = |name: &str| {
        let (pay, other) = (format!("/pay/{{{name}}}"), format!("/Pay/{{{name}}}"));
        let old = contract("deny", &[endpoint("GET", &pay, &mfa)]);
        let endpoints = [endpoint("GET", &pay, &mfa), endpoint("GET", &other, &standard)];
        weakened(&old, &contract("deny", &endpoints))
    };
    assert_eq!(twin("id"), twin("key"));
}
