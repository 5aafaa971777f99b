//! Which endpoint a request meets, with axum's precedence, so that the contract means elsewhere what
//! it means in the router: static before parameter before wildcard, the path before the method.
//!
//! A tree with one level per path segment, laid out flat: each distinct text of a segment is a number, and
//! one map leads from a place and a number to the next place. So a lookup in a contract of 100,000 endpoints
//! touches little more memory than in one of ten. axum's own matcher (matchit) would do but for one thing:
//! it holds `/a/{id}` and `/a/{*rest}` for a conflict, which a contract does not. On everything that
//! matchit accepts, a property test holds this table equal to it.

use crate::contract::Contract;
use crate::endpoint::Endpoint;
use crate::error::ContractError;
use crate::http_method::HttpMethod;
use crate::path::{Segment, segments};
use crate::readings::{decoded, folded, trimmed_segment};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// Finds the endpoint of a request: static before parameter before wildcard, a method of its own
/// before any, GET for HEAD.
#[derive(Debug, Clone)]
pub struct Table {
    endpoints: Arc<[Endpoint]>,
    /// The texts of fixed segments, as numbers. Only a contract's author adds to it, so that a fast hash does.
    texts: FxHashMap<Box<str>, u32>,
    /// From a node and a text to a node.
    fixed: FxHashMap<(u32, u32), u32>,
    /// The first is the root.
    nodes: Vec<Node>,
    /// The groups, one behind the other.
    members: Vec<Member>,
    /// Whether a wildcard also takes nothing.
    takes_nothing: bool,
}

/// What can follow at one place in a path, fixed segments apart.
#[derive(Debug, Clone, Default)]
struct Node {
    /// The endpoints whose path ends here.
    here: Group,
    /// The endpoints whose wildcard begins here.
    wildcard: Group,
    parameter: Option<u32>,
    /// `v-{version}`: longer prefixes first, those of one length in order.
    prefixed: Vec<(Box<str>, u32)>,
}

/// Endpoints of one template, as a part of the members.
#[derive(Debug, Clone, Copy, Default)]
struct Group {
    start: u32,
    length: u32,
}

/// An endpoint in its group. Its method is here as well, so that only the one that is found is touched.
#[derive(Debug, Clone, Copy)]
struct Member {
    method: Option<HttpMethod>,
    endpoint: u32,
}

impl Table {
    /// Builds the table and reports endpoints of equal precedence that match the same requests. The
    /// paths have been checked. `pointers` says where each endpoint was written.
    pub(crate) fn build(
        contract: &Contract,
        pointers: &[String],
        errors: &mut Vec<ContractError>,
    ) -> Self {
        Self::of(contract, contract.endpoints().into(), &segments, |index, twin, endpoints| {
            errors.push(conflict(endpoints, pointers, twin, index));
        })
    }

    /// The table of a server that overlooks case and what is at the end of a segment, and gives a wildcard nothing
    /// at all, over the same endpoints: with its templates `decoded`, or as they are written. Those that such a
    /// server cannot tell apart stand in one group.
    pub(crate) fn carelessly(&self, contract: &Contract, decoded: bool) -> Self {
        let read = |template: &str| carelessly(template, decoded);
        let table = Self::of(contract, Arc::clone(&self.endpoints), &read, |_, _, _| {});
        Self { takes_nothing: true, ..table }
    }

    /// `twins` is told of an endpoint and of an earlier one that takes the same requests.
    fn of(
        contract: &Contract,
        endpoints: Arc<[Endpoint]>,
        read: &dyn Fn(&str) -> Vec<Segment>,
        mut twins: impl FnMut(usize, usize, &[Endpoint]),
    ) -> Self {
        let mut table = Self {
            endpoints: Arc::clone(&endpoints),
            texts: FxHashMap::default(),
            fixed: FxHashMap::default(),
            nodes: vec![Node::default()],
            members: Vec::with_capacity(endpoints.len()),
            takes_nothing: false,
        };
        // For each node, the endpoints that end there, and those whose wildcard begins there.
        let mut groups: FxHashMap<(u32, bool), Vec<usize>> = FxHashMap::default();
        for (index, endpoint) in endpoints.iter().enumerate() {
            let place = table.place(read(&contract.whole_path(endpoint)));
            let group = groups.entry(place).or_default();
            let twin = group.iter().find(|other| endpoints[**other].method == endpoint.method);
            if let Some(&twin) = twin {
                twins(index, twin, &endpoints);
            }
            group.push(index);
        }
        for ((node, wildcard), group) in groups {
            let start = number(table.members.len());
            table.members.extend(
                group.iter().map(|&index| Member {
                    method: endpoints[index].method,
                    endpoint: number(index),
                }),
            );
            let group = Group { start, length: number(group.len()) };
            if let Some(node) = table.nodes.get_mut(place(node)) {
                *(if wildcard { &mut node.wildcard } else { &mut node.here }) = group;
            }
        }
        table
    }

    /// The node of this template, and whether a wildcard begins there.
    fn place(&mut self, template: Vec<Segment>) -> (u32, bool) {
        let mut at = 0;
        for segment in template {
            at = match segment {
                Segment::Wildcard => return (at, true),
                Segment::Fixed(text) => {
                    let next = number(self.texts.len());
                    let text = *self.texts.entry(text.into_boxed_str()).or_insert(next);
                    match self.fixed.entry((at, text)) {
                        Entry::Occupied(known) => *known.get(),
                        Entry::Vacant(vacant) => *vacant.insert(add(&mut self.nodes)),
                    }
                }
                Segment::Parameter(prefix) if prefix.is_empty() => {
                    let known = self.nodes[place(at)].parameter;
                    known.unwrap_or_else(|| {
                        let node = add(&mut self.nodes);
                        self.nodes[place(at)].parameter = Some(node);
                        node
                    })
                }
                Segment::Parameter(prefix) => {
                    let prefixed = &self.nodes[place(at)].prefixed;
                    let wanted = (Reverse(prefix.len()), &*prefix);
                    let place_of = |(known, _): &(Box<str>, u32)| {
                        (Reverse(known.len()), &**known).cmp(&wanted)
                    };
                    match prefixed.binary_search_by(place_of) {
                        Ok(known) => prefixed[known].1,
                        Err(place_of) => {
                            let node = add(&mut self.nodes);
                            let prefixed = &mut self.nodes[place(at)].prefixed;
                            prefixed.insert(place_of, (prefix.into_boxed_str(), node));
                            node
                        }
                    }
                }
            };
        }
        (at, false)
    }

    /// The endpoint that takes this request. `method` is the request's method, `path` its path as
    /// it stands in the request line, without the query.
    ///
    /// As in axum, a path whose endpoints do not take the method meets none, even where a less
    /// specific path would.
    pub fn find(&self, method: &str, path: &str) -> Option<&Endpoint> {
        self.taking(method, path).next()
    }

    /// The endpoints of the most specific path that take this method, the most specific first. There are
    /// several where one takes every method, or HEAD stands beside GET.
    pub(crate) fn taking<'a>(
        &'a self,
        method: &str,
        path: &str,
    ) -> impl Iterator<Item = &'a Endpoint> + use<'a> {
        let group =
            self.search(0, path.strip_prefix('/')).map_or(&[][..], |group| self.group(group));
        wanted(method).flat_map(move |wanted| {
            let members = group.iter().filter(move |member| member.method == wanted);
            members.filter_map(|member| self.endpoints.get(place(member.endpoint)))
        })
    }

    /// The endpoints of the most specific path of those that take this method, in the order of
    /// [`taking`](Self::taking): what a server finds that goes on looking where axum says that the method is not
    /// allowed.
    pub(crate) fn falling_through(&self, method: &str, path: &str) -> Vec<&Endpoint> {
        let taken = |group| {
            let members = wanted(method).flat_map(move |wanted| {
                self.group(group).iter().filter(move |member| member.method == wanted)
            });
            members.filter_map(|member| self.endpoints.get(place(member.endpoint)))
        };
        let found = self.walk(0, path.strip_prefix('/'), &mut |group| {
            taken(group).next().is_some().then_some(group)
        });
        found.map(taken).into_iter().flatten().collect()
    }

    /// The contract's endpoints, in its order.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Every endpoint whose template matches this path, whatever the method, and whichever of them takes the
    /// request.
    pub(crate) fn matching(&self, path: &str) -> Vec<&Endpoint> {
        let mut groups = Vec::new();
        self.walk(0, path.strip_prefix('/'), &mut |group| {
            groups.push(group);
            None::<()>
        });
        let members = groups.iter().flat_map(|group| self.group(*group));
        members.filter_map(|member| self.endpoints.get(place(member.endpoint))).collect()
    }

    fn group(&self, Group { start, length }: Group) -> &[Member] {
        self.members.get(place(start)..place(start) + place(length)).unwrap_or_default()
    }

    /// The most specific group of a path of which this is left.
    fn search(&self, node: u32, rest: Option<&str>) -> Option<Group> {
        self.walk(node, rest, &mut Some)
    }

    /// Visits the groups of every template that matches a path of which this is left, the most specific first,
    /// until one is taken; nothing is left behind the last segment. Goes no deeper than the longest template,
    /// whatever the path.
    fn walk<T>(
        &self,
        node: u32,
        rest: Option<&str>,
        visit: &mut dyn FnMut(Group) -> Option<T>,
    ) -> Option<T> {
        let node_at = self.nodes.get(place(node))?;
        let Some(rest) = rest else {
            let ends = [Some(node_at.here), self.takes_nothing.then_some(node_at.wildcard)];
            let mut ends = ends.into_iter().flatten().filter(|group| group.length > 0);
            return ends.find_map(visit);
        };
        let (text, next) = match rest.split_once('/') {
            Some((text, next)) => (text, Some(next)),
            None => (rest, None),
        };
        // As in axum, a parameter may be empty where more of the path follows, but not at its end.
        let filled = |value: &str| !value.is_empty() || next.is_some();
        if let Some(text) = self.texts.get(text)
            && let Some(fixed) = self.fixed.get(&(node, *text))
            && let Some(taken) = self.walk(*fixed, next, visit)
        {
            return Some(taken);
        }
        for (prefix, prefixed) in &node_at.prefixed {
            if text.strip_prefix(&**prefix).is_some_and(filled)
                && let Some(taken) = self.walk(*prefixed, next, visit)
            {
                return Some(taken);
            }
        }
        if let Some(parameter) = node_at.parameter.filter(|_| filled(text))
            && let Some(taken) = self.walk(parameter, next, visit)
        {
            return Some(taken);
        }
        let wildcard = node_at.wildcard.length > 0 && (self.takes_nothing || !rest.is_empty());
        wildcard.then(|| visit(node_at.wildcard))?
    }
}

/// What endpoints have for their method that take a request with this one, the most specific first.
fn wanted(method: &str) -> impl Iterator<Item = Option<HttpMethod>> + use<> {
    let named = HttpMethod::ALL.into_iter().find(|known| known.as_str() == method);
    let head = (named == Some(HttpMethod::Head)).then_some(Some(HttpMethod::Get));
    named.map(Some).into_iter().chain(head).chain([None])
}

/// Where an endpoint stands among those of its template that take a request with this method; `None` where it does not.
pub(crate) fn rank(endpoint: &Endpoint, method: &str) -> Option<usize> {
    wanted(method).position(|wanted| wanted == endpoint.method)
}

/// The segments of a whole template as a careless server has them.
pub(crate) fn carelessly(template: &str, decode: bool) -> Vec<Segment> {
    let read = |text: &str| folded(&if decode { decoded(text) } else { text.into() });
    let segments = segments(template).into_iter().map(|segment| match segment {
        Segment::Fixed(text) => Segment::Fixed(trimmed_segment(&read(&text)).to_owned()),
        Segment::Parameter(prefix) => Segment::Parameter(read(&prefix)),
        Segment::Wildcard => Segment::Wildcard,
    });
    let nothing = Segment::Fixed(String::new());
    let mut segments: Vec<Segment> = segments.filter(|segment| *segment != nothing).collect();
    if segments.is_empty() {
        segments.push(nothing);
    }
    segments
}

/// A new node's number.
fn add(nodes: &mut Vec<Node>) -> u32 {
    nodes.push(Node::default());
    number(nodes.len() - 1)
}

/// A place in a list as a number. A contract of four thousand million endpoints does not fit in any memory.
fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
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
        first: one.name(),
        second: other.name(),
    }
}
