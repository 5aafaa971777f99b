//! Which endpoints of one contract get in each other's way: those in front of stricter ones, and those that some
//! servers take for stricter ones.

use crate::contract::{Contract, Unlisted};
use crate::endpoint::Endpoint;
use crate::gap::gaps;
use crate::http_method::methods;
use crate::path::{overlap, segments};
use crate::readings::{decoded, folded, is_read_alike, readings};
use crate::samples::{Tangled, samples, without_names};
use crate::table::{Table, carelessly, rank};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::ptr;

/// How many pairs of endpoints are looked at that one request can be taken for.
const MOST_PAIRS: usize = 4096;

/// What each endpoint takes away from more general ones and should not, by its place in the contract.
///
/// # Errors
/// When they overlap in too many ways.
pub(crate) fn in_the_way(
    contract: &Contract,
    table: &Table,
) -> Result<HashMap<usize, Vec<String>>, Tangled> {
    let mut problems: HashMap<usize, Vec<String>> = HashMap::new();
    let places = places(table);
    let mut find = |endpoint: &Endpoint, problem: String| {
        if let Some(place) = places.get(&ptr::from_ref(endpoint)) {
            problems.entry(*place).or_default().push(problem);
        }
    };
    let paths: Vec<_> =
        contract.endpoints().iter().map(|endpoint| contract.whole_path(endpoint)).collect();
    samples(paths.iter().map(|path| segments(path)), |path| {
        let matching = table.matching(path);
        let Some((&first, others)) = matching.split_first().filter(|(_, rest)| !rest.is_empty())
        else {
            return 0;
        };
        for &general in &matching {
            let mut lost = None;
            for method in methods().filter(|method| rank(general, method).is_some()) {
                match table.find(method, path) {
                    // Of another path, or beside it: HEAD has an endpoint of its own, or GET beside any method.
                    Some(taker) if !ptr::eq(taker, general) => {
                        let less = lacking(taker, general);
                        if !less.is_empty() {
                            let general = contract.route(general);
                            let what = "takes requests from";
                            find(taker, format!("{what} {general}, and requires less ({less})"));
                        }
                    }
                    Some(_) => {}
                    None => lost = lost.or(Some(method)),
                }
            }
            if let Some(method) = lost.filter(|_| contract.unlisted() == Unlisted::Allow) {
                let problem = format!(
                    "takes requests from {}, and no endpoint there takes {method}: a program that does not \
                     look for another route lets it through",
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

/// For each endpoint, by its place in the contract: those that ask for more and that servers take some of its
/// requests for which overlook case, encodings, an extension, or the end of a segment, or let a wildcard take
/// nothing. The matcher lets each have its own spelling, which such a server does not know.
///
/// # Errors
/// When there are too many of them.
pub(crate) fn twins<'a>(
    contract: &Contract,
    table: &'a Table,
) -> Result<HashMap<usize, Vec<&'a Endpoint>>, Tangled> {
    let wholes: Vec<_> = contract.endpoints().iter().map(|one| contract.whole_path(one)).collect();
    let careless = table.carelessly(contract, true);
    let places = places(table);
    // What every server takes for both is compared by its samples.
    let (templates, of) = alike(&wholes);
    let template = |endpoint: &Endpoint| {
        places.get(&ptr::from_ref(endpoint)).and_then(|at| of.get(*at)).copied()
    };
    let mut pairs: BTreeSet<(usize, usize)> = BTreeSet::new();
    samples(wholes.iter().map(|whole| carelessly(whole, true)), |path| {
        let taking: BTreeSet<usize> =
            careless.matching(path).into_iter().filter_map(template).collect();
        let count = taking.len() * taking.len().saturating_sub(1);
        // What is too much is not begun.
        if count > MOST_PAIRS {
            return usize::MAX;
        }
        for one in &taking {
            pairs.extend(taking.iter().filter(|other| *other != one).map(|other| (*one, *other)));
        }
        count
    })?;
    // For what it is written as the matcher believes it; some servers take more off its end.
    for (index, whole) in wholes.iter().enumerate().filter(|(_, whole)| !is_read_alike(whole)) {
        let folded = folded(&decoded(&without_names(whole)));
        let readings = readings(&folded, false);
        let reached = readings.iter().flat_map(|reading| careless.matching(reading));
        pairs.extend(reached.filter_map(template).map(|other| (of[index], other)));
    }
    let mut twins: HashMap<usize, Vec<&Endpoint>> = HashMap::new();
    let exact: Vec<_> = wholes.iter().map(|whole| segments(whole)).collect();
    let apart = |(one, other): &(usize, usize)| {
        let [one, other] = [one, other].map(|template| templates[*template].first());
        one.zip(other).is_some_and(|(one, other)| !overlap(&exact[*one], &exact[*other]))
    };
    let pairs = pairs.iter().filter(|pair| apart(pair)).flat_map(|(one, other)| {
        let others = &templates[*other];
        templates[*one].iter().flat_map(move |one| others.iter().map(move |other| (*one, *other)))
    });
    for (one, other) in pairs {
        let (endpoint, twin) = (&table.endpoints()[one], &table.endpoints()[other]);
        if methods().any(|method| [endpoint, twin].iter().all(|one| rank(one, method).is_some()))
            && !gaps(&twin.requirement, &endpoint.requirement).is_empty()
        {
            twins.entry(one).or_default().push(twin);
        }
    }
    Ok(twins)
}

/// The places of the endpoints of each template, and for each place which of the templates is there.
fn alike(wholes: &[Cow<'_, str>]) -> (Vec<Vec<usize>>, Vec<usize>) {
    let mut templates: Vec<Vec<usize>> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut place = |(at, whole): (usize, &Cow<'_, str>)| {
        let template = *known.entry(without_names(whole)).or_insert(templates.len());
        if template == templates.len() {
            templates.push(Vec::new());
        }
        templates[template].push(at);
        template
    };
    let of = wholes.iter().enumerate().map(&mut place).collect();
    (templates, of)
}

/// In what an endpoint asks for less than another, with what both say; empty where it is nothing.
pub(crate) fn lacking(endpoint: &Endpoint, general: &Endpoint) -> String {
    let said = gaps(&general.requirement, &endpoint.requirement).into_iter().map(|field| {
        let of = |endpoint: &Endpoint| endpoint.requirement.said(field);
        format!("{}: {}, there {}", field.key(), of(endpoint), of(general))
    });
    said.collect::<Vec<_>>().join("; ")
}

/// Where in the contract each endpoint of its table stands.
pub(crate) fn places(table: &Table) -> HashMap<*const Endpoint, usize> {
    table.endpoints().iter().enumerate().map(|(at, one)| (ptr::from_ref(one), at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http_method::HttpMethod;
    use crate::requirement::Requirement;

    #[test]
    fn an_endpoint_for_each_method_below_all_others_is_not_too_much() {
        let at = |method, path: &str, age| Endpoint {
            method: Some(method),
            path: path.into(),
            handler: None,
            requirement: Requirement { max_age: Some(age), ..Requirement::default() },
        };
        let all = HttpMethod::ALL.into_iter();
        let below =
            all.flat_map(|method| [at(method, "/{*rest}", 60), at(method, "/Api/{*rest}", 60)]);
        let others = (0..1000).map(|n| at(HttpMethod::Post, &format!("/api/r{n}"), 60));
        let contract = Contract::new("s", "1", below.chain(others)).unwrap();
        let table = contract.table();
        assert!(in_the_way(&contract, &table).unwrap().is_empty());
        assert!(twins(&contract, &table).unwrap().is_empty());
        // A looser one of one method is taken for the stricter ones of that method.
        let loose = at(HttpMethod::Get, "/API/x", 600);
        let contract =
            Contract::new("s", "1", contract.endpoints().iter().cloned().chain([loose])).unwrap();
        let table = contract.table();
        let twins = twins(&contract, &table).unwrap();
        let found: Vec<String> = twins.values().flatten().map(|twin| twin.route()).collect();
        assert_eq!(found, ["GET /Api/{*rest}", "HEAD /Api/{*rest}"], "GET is for HEAD, too");
    }
}
