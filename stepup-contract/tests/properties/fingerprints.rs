//! A change's fingerprint stands for all requests that it concerns, and for no others.

use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeSet, HashMap};
use stepup_contract::{Contract, Endpoint, HttpMethod, Requirement, compare};

/// Templates of very few words, most of which take requests of each other.
fn crossing() -> impl Strategy<Value = String> {
    let segment = proptest::sample::select(vec!["a", "b", "{p}", "{q}", "v-{s}"]);
    (vec(segment, 1..4), prop_oneof![2 => Just(""), 1 => Just("/{*rest}")])
        .prop_map(|(segments, end)| format!("/{}{end}", segments.join("/")))
        .prop_filter("a sound one", |path| stepup_contract::check_path(path).is_ok())
}

/// For which methods a path has an endpoint.
fn methods() -> impl Strategy<Value = Vec<Option<HttpMethod>>> {
    let all = [None, Some(HttpMethod::Get), Some(HttpMethod::Post), Some(HttpMethod::Head)];
    proptest::sample::subsequence(all.to_vec(), 1..=3)
}

/// The endpoints of one side that one request meets: the most specific of those that take its method where `further`
/// is looked, else none where the most specific path does not take it.
fn met<'a>(
    endpoints: &'a [Endpoint],
    method: &str,
    path: &str,
    further: bool,
) -> Option<&'a Endpoint> {
    let takes = |endpoint: &&Endpoint| {
        endpoint.method.is_none_or(|own| {
            own.as_str() == method || (own == HttpMethod::Get && method == "HEAD")
        })
    };
    let looked_at = endpoints.iter().filter(|endpoint| !further || takes(endpoint)).cloned();
    let table = Contract::new("s", "1", looked_at).unwrap().table();
    let found = table.find(method, path)?;
    endpoints.iter().find(|endpoint| *endpoint == found)
}

/// Paths that a template takes.
fn paths(template: &str) -> Vec<String> {
    let mut paths = vec![String::new()];
    for segment in template.split('/').skip(1) {
        let words: Vec<String> = match segment.split_once('{') {
            None => vec![segment.to_owned()],
            Some((_, name)) if name.starts_with('*') => {
                ["a", "zz", "", "b/a"].map(str::to_owned).to_vec()
            }
            Some((prefix, _)) => {
                ["a", "b", "v-a", "zz", ""].map(|word| format!("{prefix}{word}")).to_vec()
            }
        };
        let longer =
            paths.iter().flat_map(|path| words.iter().map(move |word| format!("{path}/{word}")));
        paths = longer.collect();
    }
    paths
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changes_with_one_fingerprint_concern_the_same_requests(
        pool in vec((crossing(), methods(), vec(any::<[bool; 4]>(), 4)), 1..5)
    ) {
        let each = |(path, methods, sides): (String, Vec<Option<HttpMethod>>, Vec<[bool; 4]>)| {
            let endpoints = methods.into_iter().zip(sides);
            endpoints.map(move |(method, sides)| (path.clone(), method, sides))
        };
        let pool: Vec<_> = pool.into_iter().flat_map(each).collect();
        let side = |at: usize| {
            let endpoints = pool.iter().filter(|(_, _, sides)| sides[at]).map(|(path, method, _)| Endpoint {
                method: *method,
                path: path.clone(),
                handler: None,
                // Each is weakened where it stands on both sides.
                requirement: Requirement { max_age: Some([60, 600][at % 2]), ..Requirement::default() },
            });
            endpoints.collect::<Vec<_>>()
        };
        let of = |endpoints: &[Endpoint]| Contract::new("s", "1", endpoints.to_vec());
        let sides = [side(0), side(1), side(2), side(3)];
        if sides.iter().any(|side| of(side).is_err()) {
            return Ok(());
        }
        let some = |path: &str| {
            let paths = paths(path);
            let step = paths.len() / 64 + 1;
            paths.into_iter().step_by(step)
        };
        let all: BTreeSet<String> = pool.iter().flat_map(|(path, ..)| some(path)).collect();
        let mut known: HashMap<String, BTreeSet<(&str, &str)>> = HashMap::new();
        let pairs = [0, 2].into_iter().flat_map(|old| [1, 3].map(|new| (&sides[old], &sides[new])));
        for (old, new) in pairs {
            let changes = compare(&of(old).unwrap(), &of(new).unwrap()).unwrap();
            let mut concerned: Vec<BTreeSet<(&str, &str)>> = vec![BTreeSet::new(); changes.len()];
            for path in &all {
                for method in ["GET", "POST", "HEAD", "PUT"] {
                    let after = met(new, method, path, false);
                    let before = met(old, method, path, after.is_some());
                    let is = |change: &stepup_contract::Change| {
                        change.old.as_ref() == before && change.new.as_ref() == after
                    };
                    if let Some(at) = changes.iter().position(is) {
                        concerned[at].insert((method, path));
                    }
                }
            }
            for (change, concerned) in changes.iter().zip(concerned) {
                let before = known.entry(change.fingerprint()).or_insert_with(|| concerned.clone());
                prop_assert_eq!(&*before, &concerned, "{:?}", change);
            }
        }
    }
}
