//! `decide` does not allocate memory, whether it allows or refuses.

use allocation_counter::measure;
use std::hint::black_box;
use stepup_contract::{Authentication, Decision, Evidence, Method, Requirement, decide};

#[test]
fn decide_does_not_allocate() {
    let requirement = with!(Requirement::default(); methods: vec![Method::Mfa, Method::custom("okta_verify").unwrap()],
        any_methods: vec![Method::Hwk, Method::Face],
        acr: vec!["gold".into(), "silver".into()],
        max_age: Some(300),
        scopes: vec!["pay".into()]);
    let okta = Method::custom("okta_verify").unwrap();
    let strong = with!(Authentication::default(); methods: [Method::Mfa, Method::Face, okta].into_iter().collect(),
        acr: vec!["silver".into()],
        auth_time: Some(1000),
        scopes: vec!["read".into(), "pay".into()],
        may_step_up: true,
        clock_skew: 30);
    let weak = with!(Authentication::default(); may_step_up: true);
    let counted = measure(|| {
        let decision = decide(black_box(&requirement), &Evidence::of(&strong), black_box(1100));
        assert_eq!(decision, Decision::Allow);
        let decision = decide(black_box(&requirement), &Evidence::of(&weak), black_box(1100));
        assert_ne!(decision, Decision::Allow);
    });
    assert_eq!(counted.count_total, 0, "{counted:?}");
    let counter = measure(|| drop(black_box(vec![1, 2, 3])));
    assert_eq!(counter.count_total, 1, "the counter detects an allocation");
}
