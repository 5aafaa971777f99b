//! Which endpoint a request matches, with axum's precedence, so that the contract has the same meaning in the router
//! and elsewhere: static before parameter before wildcard, the path before the method.
//!
//! The table is a tree with one level per path segment, stored flat: each distinct segment text has a number, and one
//! map leads from a node and a number to the next node. A lookup in a contract of 100,000 endpoints therefore touches
//! little more memory than in one of ten. axum's own matcher (matchit) cannot be used, because it treats `/a/{id}` and
//! `/a/{*rest}` as a conflict, which a contract does not. For all templates that matchit accepts, a property test
//! compares this table with matchit.

use crate::model::{Contract, Endpoint, HttpMethod};
use crate::path::template::{Segment, segments};
use crate::path::variants::{Extent, decoded, folded, trimmed_segment};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// Finds the endpoint of a request: static before parameter before wildcard, an endpoint for the method before one for
/// every method, GET for HEAD.
#[derive(Debug, Clone)]
pub struct Table {
    endpoints: Arc<[Endpoint]>,
    /// The numbers of fixed segment texts. A fast hash is safe, because only the contract's author chooses the texts.
    texts: FxHashMap<Box<str>, u32>,
    /// From a node and a text to the next node.
    fixed: FxHashMap<(u32, u32), u32>,
    /// The first node is the root.
    nodes: Vec<Node>,
    /// All groups, one after the other.
    members: Vec<Member>,
    /// Whether a wildcard also matches an empty rest.
    empty_wildcard: bool,
    /// How much of a path the templates can distinguish.
    extent: Extent,
}

/// What can follow at one position of a path, except fixed segments.
#[derive(Debug, Clone, Default)]
struct Node {
    /// The endpoints whose path ends here.
    here: Group,
    /// The endpoints whose wildcard starts here.
    wildcard: Group,
    parameter: Option<u32>,
    /// `v-{version}`: longer prefixes first, then in alphabetical order.
    prefixed: Vec<(Box<str>, u32)>,
}

/// The endpoints of one template, as a range of the members.
#[derive(Debug, Clone, Copy, Default)]
struct Group {
    start: u32,
    length: u32,
}

/// An endpoint in its group. The method is stored here too, so that a lookup reads only the endpoint that it returns.
#[derive(Debug, Clone, Copy)]
struct Member {
    method: Option<HttpMethod>,
    endpoint: u32,
}

impl Table {
    /// Builds the table of a contract with valid paths. `on_conflict` receives the indices of an earlier and a later
    /// endpoint that match the same requests.
    pub(crate) fn build(contract: &Contract, on_conflict: impl FnMut(usize, usize)) -> Self {
        Self::with(contract, contract.endpoints().into(), &segments, on_conflict)
    }

    /// The table of a lenient server over the same endpoints: it ignores case and the end of a segment, and its
    /// wildcards match an empty rest. Its templates are `decoded`, or as written. Endpoints that such a server cannot
    /// distinguish are in one group.
    pub(crate) fn lenient(&self, contract: &Contract, decoded: bool) -> Self {
        let read = |template: &str| lenient_segments(template, decoded);
        let table = Self::with(contract, Arc::clone(&self.endpoints), &read, |_, _| {});
        Self { empty_wildcard: true, ..table }
    }

    fn with(
        contract: &Contract,
        endpoints: Arc<[Endpoint]>,
        read: &dyn Fn(&str) -> Vec<Segment>,
        mut on_conflict: impl FnMut(usize, usize),
    ) -> Self {
        let mut table = Self {
            endpoints: Arc::clone(&endpoints),
            texts: FxHashMap::default(),
            fixed: FxHashMap::default(),
            nodes: vec![Node::default()],
            members: Vec::with_capacity(endpoints.len()),
            empty_wildcard: false,
            extent: Extent::default(),
        };
        // For each node, the endpoints that end there, and those whose wildcard starts there.
        let mut groups: FxHashMap<(u32, bool), Vec<usize>> = FxHashMap::default();
        for (index, endpoint) in endpoints.iter().enumerate() {
            let template = read(&contract.whole_path(endpoint));
            table.extent.include(&template);
            let place = table.place(template);
            let group = groups.entry(place).or_default();
            let same = group.iter().find(|other| endpoints[**other].method == endpoint.method);
            if let Some(&earlier) = same {
                on_conflict(earlier, index);
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

    /// The node of this template, and whether a wildcard starts there.
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

    /// The endpoint that this request matches. `method` is the request's method, `path` the path of its request line,
    /// without the query.
    ///
    /// As in axum, only the most specific path counts: if its endpoints do not accept the method, no endpoint matches,
    /// even if a less specific path would.
    pub fn find(&self, method: &str, path: &str) -> Option<&Endpoint> {
        self.accepting(method, path).next()
    }

    /// The endpoints of the most specific path that accept this method, the most specific first. There are several if
    /// one accepts every method, or if HEAD and GET have their own endpoints.
    pub(crate) fn accepting<'a>(
        &'a self,
        method: &str,
        path: &str,
    ) -> impl Iterator<Item = &'a Endpoint> + use<'a> {
        let group =
            self.search(0, path.strip_prefix('/')).map_or(&[][..], |group| self.group(group));
        accepted_methods(method).flat_map(move |accepted| {
            let members = group.iter().filter(move |member| member.method == accepted);
            members.filter_map(|member| self.endpoints.get(place(member.endpoint)))
        })
    }

    /// The endpoints of the most specific path that accepts this method at all: what a server finds that continues with
    /// less specific paths where axum answers that the method is not allowed.
    pub(crate) fn falling_through(&self, method: &str, path: &str) -> Vec<&Endpoint> {
        let accepting = |group| {
            let members = accepted_methods(method).flat_map(move |accepted| {
                self.group(group).iter().filter(move |member| member.method == accepted)
            });
            members.filter_map(|member| self.endpoints.get(place(member.endpoint)))
        };
        let found = self.walk(0, path.strip_prefix('/'), &mut |group| {
            accepting(group).next().is_some().then_some(group)
        });
        found.map(accepting).into_iter().flatten().collect()
    }

    /// How much of a path the templates can distinguish.
    pub(crate) fn extent(&self) -> Extent {
        self.extent
    }

    /// The contract's endpoints, in the contract's order.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Every endpoint whose template matches this path, for any method, also if a more specific one matches.
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

    /// The most specific group for the rest of a path.
    fn search(&self, node: u32, rest: Option<&str>) -> Option<Group> {
        self.walk(node, rest, &mut Some)
    }

    /// Visits the groups of every template that matches the rest of a path, the most specific first, until `visit`
    /// returns a result. After the last segment the rest is `None`. The recursion is limited by the longest template,
    /// not by the path.
    fn walk<T>(
        &self,
        node: u32,
        rest: Option<&str>,
        visit: &mut dyn FnMut(Group) -> Option<T>,
    ) -> Option<T> {
        let node_at = self.nodes.get(place(node))?;
        let Some(rest) = rest else {
            let ends = [Some(node_at.here), self.empty_wildcard.then_some(node_at.wildcard)];
            let mut ends = ends.into_iter().flatten().filter(|group| group.length > 0);
            return ends.find_map(visit);
        };
        let (text, next) = match rest.split_once('/') {
            Some((text, next)) => (text, Some(next)),
            None => (rest, None),
        };
        // As in axum, a parameter may be empty if more of the path follows, but not at the end.
        let filled = |value: &str| !value.is_empty() || next.is_some();
        if let Some(text) = self.texts.get(text)
            && let Some(fixed) = self.fixed.get(&(node, *text))
            && let Some(result) = self.walk(*fixed, next, visit)
        {
            return Some(result);
        }
        for (prefix, prefixed) in &node_at.prefixed {
            if text.strip_prefix(&**prefix).is_some_and(filled)
                && let Some(result) = self.walk(*prefixed, next, visit)
            {
                return Some(result);
            }
        }
        if let Some(parameter) = node_at.parameter.filter(|_| filled(text))
            && let Some(result) = self.walk(parameter, next, visit)
        {
            return Some(result);
        }
        let wildcard = node_at.wildcard.length > 0 && (self.empty_wildcard || !rest.is_empty());
        wildcard.then(|| visit(node_at.wildcard))?
    }
}

/// The endpoint methods that match a request with this method, most specific first.
fn accepted_methods(method: &str) -> impl Iterator<Item = Option<HttpMethod>> + use<> {
    let named = HttpMethod::ALL.into_iter().find(|known| known.as_str() == method);
    let head = (named == Some(HttpMethod::Head)).then_some(Some(HttpMethod::Get));
    named.map(Some).into_iter().chain(head).chain([None])
}

/// The precedence of an endpoint among those of its template for a request with this method; `None` if it does not
/// accept the method.
pub(crate) fn method_rank(endpoint: &Endpoint, method: &str) -> Option<usize> {
    accepted_methods(method).position(|accepted| accepted == endpoint.method)
}

/// The segments of a whole template as a lenient server reads them.
pub(crate) fn lenient_segments(template: &str, decode: bool) -> Vec<Segment> {
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

/// Adds a node and returns its number.
fn add(nodes: &mut Vec<Node>) -> u32 {
    nodes.push(Node::default());
    number(nodes.len() - 1)
}

/// An index as a number. A contract with more than 2^32 endpoints does not fit into memory.
fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
