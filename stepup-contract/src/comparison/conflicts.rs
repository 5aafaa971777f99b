//! Conflicts between the endpoints of one contract: an endpoint that takes requests from a stricter one, and an
//! endpoint that some servers cannot distinguish from a stricter one.

use crate::comparison::weakening::weakened_endpoint;
use crate::model::{Contract, Endpoint, Unlisted, methods};
use crate::path::representatives::representatives;
use crate::path::template::{overlap, segments};
use crate::path::variants::{decoded, folded, has_one_reading, variants};
use crate::path::{TooManyOverlaps, without_names};
use crate::routing::{Table, lenient_segments, method_rank};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::ptr;

/// The most pairs of endpoints that are compared for one path.
const MOST_PAIRS: usize = 4096;

/// For each endpoint, by its index in the contract: the requests that it takes from more general endpoints although it
/// requires less.
///
/// # Errors
/// If the endpoints overlap in too many ways.
pub(crate) fn shadowing(
    contract: &Contract,
    table: &Table,
) -> Result<HashMap<usize, Vec<String>>, TooManyOverlaps> {
    let mut problems: HashMap<usize, Vec<String>> = HashMap::new();
    let indices = indices(table);
    let mut find = |endpoint: &Endpoint, problem: String| {
        if let Some(index) = indices.get(&ptr::from_ref(endpoint)) {
            problems.entry(*index).or_default().push(problem);
        }
    };
    let paths: Vec<_> =
        contract.endpoints().iter().map(|endpoint| contract.whole_path(endpoint)).collect();
    representatives(paths.iter().map(|path| segments(path)), |path| {
        let matching = table.matching(path);
        let Some((&first, others)) = matching.split_first().filter(|(_, rest)| !rest.is_empty())
        else {
            return 0;
        };
        for &general in &matching {
            let mut lost = None;
            for method in methods().filter(|method| method_rank(general, method).is_some()) {
                match table.find(method, path) {
                    // Of another path; or of the same one, if HEAD or GET has its own endpoint.
                    Some(taker) if !ptr::eq(taker, general) => {
                        let less = less_required(taker, general);
                        if !less.is_empty() {
                            let general = contract.route(general);
                            let problem = format!(
                                "takes requests from {general}, and requires less ({less})"
                            );
                            find(taker, problem);
                        }
                    }
                    Some(_) => {}
                    None => lost = lost.or(Some(method)),
                }
            }
            if let Some(method) = lost.filter(|_| contract.unlisted() == Unlisted::Allow) {
                let problem = format!(
                    "takes requests from {}, and no endpoint of its path accepts {method}: a program that does not \
                     try other routes allows it",
                    contract.route(general)
                );
                find(first, problem);
            }
        }
        others.len()
    })?;
    for problems in problems.values_mut() {
        problems.sort_unstable();
        problems.dedup();
    }
    Ok(problems)
}

/// For each endpoint, by its index in the contract: stricter endpoints from which a lenient server cannot distinguish
/// it. Such a server ignores case, encodings, an extension or the end of a segment, or its wildcards match an empty
/// rest. The matcher treats both as different, as the contract does, but such a server does not.
///
/// # Errors
/// If there are too many of them.
pub(crate) fn lookalikes<'a>(
    contract: &Contract,
    table: &'a Table,
) -> Result<HashMap<usize, Vec<&'a Endpoint>>, TooManyOverlaps> {
    let wholes: Vec<_> = contract.endpoints().iter().map(|one| contract.whole_path(one)).collect();
    let lenient = table.lenient(contract, true);
    let indices = indices(table);
    let (templates, of) = by_template(&wholes);
    let template = |endpoint: &Endpoint| {
        indices.get(&ptr::from_ref(endpoint)).and_then(|at| of.get(*at)).copied()
    };
    let mut pairs: BTreeSet<(usize, usize)> = BTreeSet::new();
    representatives(wholes.iter().map(|whole| lenient_segments(whole, true)), |path| {
        let matching: BTreeSet<usize> =
            lenient.matching(path).into_iter().filter_map(template).collect();
        let count = matching.len() * matching.len().saturating_sub(1);
        // Too many pairs are not even started.
        if count > MOST_PAIRS {
            return usize::MAX;
        }
        for one in &matching {
            pairs.extend(matching.iter().filter(|other| *other != one).map(|other| (*one, *other)));
        }
        count
    })?;
    // The variants of a path as it is written in the contract.
    for (index, whole) in wholes.iter().enumerate().filter(|(_, whole)| !has_one_reading(whole)) {
        let folded = folded(&decoded(&without_names(whole)));
        let variants = variants(&folded, false);
        let reached = variants.iter().flat_map(|variant| lenient.matching(variant));
        pairs.extend(reached.filter_map(template).map(|other| (of[index], other)));
    }
    let mut lookalikes: HashMap<usize, Vec<&Endpoint>> = HashMap::new();
    let exact: Vec<_> = wholes.iter().map(|whole| segments(whole)).collect();
    // Templates that overlap for every server are compared by `shadowing`.
    let disjoint = |(one, other): &(usize, usize)| {
        let [one, other] = [one, other].map(|template| templates[*template].first());
        one.zip(other).is_some_and(|(one, other)| !overlap(&exact[*one], &exact[*other]))
    };
    let pairs = pairs.iter().filter(|pair| disjoint(pair)).flat_map(|(one, other)| {
        let others = &templates[*other];
        templates[*one].iter().flat_map(move |one| others.iter().map(move |other| (*one, *other)))
    });
    for (one, other) in pairs {
        let (endpoint, other) = (&table.endpoints()[one], &table.endpoints()[other]);
        let both = [endpoint, other];
        let share_a_method =
            methods().any(|method| both.iter().all(|one| method_rank(one, method).is_some()));
        if share_a_method && !weakened_endpoint(other, endpoint).is_empty() {
            lookalikes.entry(one).or_default().push(other);
        }
    }
    Ok(lookalikes)
}

/// The indices of the endpoints of each template, and for each index its template.
fn by_template(wholes: &[Cow<'_, str>]) -> (Vec<Vec<usize>>, Vec<usize>) {
    let mut templates: Vec<Vec<usize>> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut add = |(at, whole): (usize, &Cow<'_, str>)| {
        let template = *known.entry(without_names(whole)).or_insert(templates.len());
        if template == templates.len() {
            templates.push(Vec::new());
        }
        templates[template].push(at);
        template
    };
    let of = wholes.iter().enumerate().map(&mut add).collect();
    (templates, of)
}

/// The fields in which an endpoint requires less than a stricter one, with both values; empty if there are none.
pub(crate) fn less_required(endpoint: &Endpoint, stricter: &Endpoint) -> String {
    let fields = weakened_endpoint(stricter, endpoint).into_iter().map(|field| {
        let value = |endpoint: &Endpoint| endpoint.field_text(field);
        format!("{}: {} instead of {}", field.name(), value(endpoint), value(stricter))
    });
    fields.collect::<Vec<_>>().join("; ")
}

/// The index in the contract of each endpoint of its table, by the endpoint's address.
pub(crate) fn indices(table: &Table) -> HashMap<*const Endpoint, usize> {
    table.endpoints().iter().enumerate().map(|(at, one)| (ptr::from_ref(one), at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HttpMethod, Requirement};

    #[test]
    fn a_wildcard_with_an_endpoint_for_each_method_can_be_checked() {
        let at = |method, path: &str, age| {
            let requirement = Requirement { max_age: Some(age), ..Requirement::default() };
            Endpoint::new(path, requirement).with_method(method)
        };
        let all = HttpMethod::ALL.into_iter();
        let below =
            all.flat_map(|method| [at(method, "/{*rest}", 60), at(method, "/Api/{*rest}", 60)]);
        let others = (0..1000).map(|n| at(HttpMethod::Post, &format!("/api/r{n}"), 60));
        let contract = Contract::new("s", "1", below.chain(others)).unwrap();
        let table = contract.table();
        assert!(shadowing(&contract, &table).unwrap().is_empty());
        assert!(lookalikes(&contract, &table).unwrap().is_empty());
        // A weaker endpoint for one method is confused with the stricter ones for that method.
        let loose = at(HttpMethod::Get, "/API/x", 600);
        let contract =
            Contract::new("s", "1", contract.endpoints().iter().cloned().chain([loose])).unwrap();
        let table = contract.table();
        let lookalikes = lookalikes(&contract, &table).unwrap();
        let found: Vec<String> = lookalikes.values().flatten().map(|other| other.route()).collect();
        assert_eq!(found, ["GET /Api/{*rest}", "HEAD /Api/{*rest}"], "GET also serves HEAD");
    }
}
