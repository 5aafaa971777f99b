//! Which endpoint a request meets, with axum's precedence, so that the contract means elsewhere what
//! it means in the router: static before parameter before wildcard, the path before the method.
//!
//! A tree with one level per path segment. axum's own matcher (matchit) would do but for one thing:
//! it holds `/a/{id}` and `/a/{*rest}` for a conflict, which a contract does not. On everything that
//! matchit accepts, a property test holds this table equal to it.

use crate::contract::Contract;
use crate::endpoint::Endpoint;
use crate::error::ContractError;
use crate::http_method::HttpMethod;
use crate::path::{Segment, joined, segment};
use crate::spelling::folded;
use std::collections::HashMap;
use std::sync::Arc;

/// Finds the endpoint of a request: static before parameter before wildcard, a method of its own
/// before any, GET for HEAD.
#[derive(Debug, Clone)]
pub struct Table {
    endpoints: Arc<[Endpoint]>,
    root: Node,
}

/// What can follow at one place in a path.
#[derive(Debug, Clone, Default)]
struct Node {
    /// The endpoints whose path ends here, as indices.
    here: Vec<usize>,
    fixed: HashMap<String, Node>,
    /// `v-{version}`: longer prefixes first.
    prefixed: Vec<(String, Node)>,
    parameter: Option<Box<Node>>,
    /// The endpoints whose wildcard begins here, as indices.
    wildcard: Vec<usize>,
}

impl Table {
    /// Builds the table and reports endpoints of equal precedence that match the same requests. The
    /// paths have been checked.
    /// `pointers` says where each endpoint was written.
    pub(crate) fn build(
        contract: &Contract,
        pointers: &[String],
        errors: &mut Vec<ContractError>,
    ) -> Self {
        let base = contract.base().unwrap_or_default();
        let whole = |path: &str| joined(base, path).into_owned();
        Self::of(contract.endpoints().into(), whole, |index, twin, endpoints| {
            errors.push(conflict(endpoints, pointers, twin, index));
        })
    }

    /// The table of a server that overlooks what [`folded`] takes away, over the same endpoints. Those that
    /// such a server cannot tell apart stand in one group.
    pub(crate) fn folding(&self, contract: &Contract) -> Self {
        let base = contract.base().unwrap_or_default();
        let folded = |path: &str| folded(&joined(base, path));
        Self::of(Arc::clone(&self.endpoints), folded, |_, _, _| {})
    }

    /// `twins` is told of an endpoint and of an earlier one that takes the same requests.
    fn of(
        endpoints: Arc<[Endpoint]>,
        whole: impl Fn(&str) -> String,
        mut twins: impl FnMut(usize, usize, &[Endpoint]),
    ) -> Self {
        let mut root = Node::default();
        for (index, endpoint) in endpoints.iter().enumerate() {
            let group = root.group(whole(&endpoint.path).trim_start_matches('/'));
            let twin = group.iter().find(|other| endpoints[**other].method == endpoint.method);
            if let Some(&twin) = twin {
                twins(index, twin, &endpoints);
            }
            group.push(index);
        }
        Self { endpoints, root }
    }

    /// The endpoint that takes this request. `method` is the request's method, `path` its path as
    /// it stands in the request line, without the query.
    ///
    /// As in axum, a path whose endpoints do not take the method meets none, even where a less
    /// specific path would.
    pub fn find(&self, method: &str, path: &str) -> Option<&Endpoint> {
        self.taking(method, path).next()
    }

    /// Every endpoint whose template matches this path, whatever the method, and whichever of them takes the
    /// request.
    pub(crate) fn matching(&self, path: &str) -> Vec<&Endpoint> {
        let mut groups = Vec::new();
        self.root.all(path.strip_prefix('/'), &mut groups);
        groups.into_iter().flatten().filter_map(|index| self.endpoints.get(*index)).collect()
    }

    /// The endpoints of the most specific path that take this method, the most specific first. There are
    /// several where one takes every method, or HEAD stands beside GET.
    pub(crate) fn taking<'a>(
        &'a self,
        method: &str,
        path: &str,
    ) -> impl Iterator<Item = &'a Endpoint> + use<'a> {
        let group = self.root.find(path.strip_prefix('/')).map_or(&[][..], Vec::as_slice);
        let named = HttpMethod::ALL.into_iter().find(|known| known.as_str() == method);
        let head = (named == Some(HttpMethod::Head)).then_some(Some(HttpMethod::Get));
        let wanted = named.map(Some).into_iter().chain(head).chain([None]);
        wanted.flat_map(move |wanted| {
            let endpoints = group.iter().filter_map(|index| self.endpoints.get(*index));
            endpoints.filter(move |endpoint| endpoint.method == wanted)
        })
    }
}

fn conflict(
    endpoints: &[Endpoint],
    pointers: &[String],
    first: usize,
    second: usize,
) -> ContractError {
    let (one, other) = (&endpoints[first], &endpoints[second]);
    ContractError::Conflict {
        pointer: pointers.get(second).cloned().unwrap_or_default(),
        route: other.route(),
        first: one.name(),
        second: other.name(),
    }
}

impl Node {
    /// The endpoints of this template, whose first slash is left out.
    fn group(&mut self, template: &str) -> &mut Vec<usize> {
        let mut node = self;
        for text in template.split('/') {
            node = match segment(text) {
                Segment::Fixed(text) => node.fixed.entry(text).or_default(),
                Segment::Wildcard => return &mut node.wildcard,
                Segment::Parameter(prefix) if prefix.is_empty() => {
                    node.parameter.get_or_insert_default()
                }
                Segment::Parameter(prefix) => {
                    let known = node.prefixed.iter().position(|(known, _)| *known == prefix);
                    let at = known.unwrap_or_else(|| {
                        let shorter = |(known, _): &(String, Self)| known.len() < prefix.len();
                        let at = node.prefixed.iter().position(shorter);
                        let at = at.unwrap_or(node.prefixed.len());
                        node.prefixed.insert(at, (prefix, Self::default()));
                        at
                    });
                    &mut node.prefixed[at].1
                }
            };
        }
        &mut node.here
    }

    /// The endpoints of a path of which this is left; nothing is left behind the last segment. Goes
    /// no deeper than the longest template, whatever the path.
    fn find(&self, rest: Option<&str>) -> Option<&Vec<usize>> {
        let Some(rest) = rest else {
            return Some(&self.here).filter(|group| !group.is_empty());
        };
        let (text, next) = match rest.split_once('/') {
            Some((text, next)) => (text, Some(next)),
            None => (rest, None),
        };
        // As in axum, a parameter may be empty where more of the path follows, but not at its end.
        let filled = |value: &str| !value.is_empty() || next.is_some();
        let fixed = || self.fixed.get(text)?.find(next);
        let prefixed = || {
            let mut fitting = self
                .prefixed
                .iter()
                .filter(|(prefix, _)| text.strip_prefix(prefix.as_str()).is_some_and(filled));
            fitting.find_map(|(_, node)| node.find(next))
        };
        let parameter = || self.parameter.as_ref().filter(|_| filled(text))?.find(next);
        let wildcard =
            || Some(&self.wildcard).filter(|group| !group.is_empty() && !rest.is_empty());
        fixed().or_else(prefixed).or_else(parameter).or_else(wildcard)
    }

    /// The groups of every template that matches, the most specific first.
    fn all<'a>(&'a self, rest: Option<&str>, groups: &mut Vec<&'a Vec<usize>>) {
        let Some(rest) = rest else {
            groups.push(&self.here);
            return;
        };
        let (text, next) = match rest.split_once('/') {
            Some((text, next)) => (text, Some(next)),
            None => (rest, None),
        };
        let filled = |value: &str| !value.is_empty() || next.is_some();
        if let Some(node) = self.fixed.get(text) {
            node.all(next, groups);
        }
        for (prefix, node) in &self.prefixed {
            if text.strip_prefix(prefix.as_str()).is_some_and(filled) {
                node.all(next, groups);
            }
        }
        if let Some(node) = self.parameter.as_ref().filter(|_| filled(text)) {
            node.all(next, groups);
        }
        if !rest.is_empty() {
            groups.push(&self.wildcard);
        }
    }
}
