//! What changed between two contracts, on two axes: *weakened* if a caller is authorized who was refused before, and
//! *tightened* if a caller is refused who was authorized before. Endpoints are compared by the requests that they
//! match, so an endpoint that takes requests from another is compared with that one.

use crate::comparison::conflicts::indices;
use crate::comparison::weakening::weakened_endpoint;
use crate::model::{Contract, Endpoint, Field, Unlisted, methods};
use crate::path::representatives::{readable, representatives};
use crate::path::template::segments;
use crate::path::{TooManyOverlaps, without_names};
use std::collections::{HashMap, HashSet};
use std::ptr;

/// One change: the requests that one endpoint of the old contract and one of the new contract match.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// What happened.
    pub kind: Kind,
    /// The endpoint that matched the requests, with its whole path, including [`Contract::base`].
    pub old: Option<Endpoint>,
    /// The endpoint that matches the requests now, with its whole path.
    pub new: Option<Endpoint>,
    /// The fields in which the new contract authorizes callers whom the old one refuses.
    pub weakened: Vec<Field>,
    /// The fields in which the new contract refuses callers whom the old one authorizes.
    pub tightened: Vec<Field>,
    /// The requests that no endpoint matches any more, if these are only a part of those that the old endpoint matched:
    /// method and path, with `…` for any value, and `other methods` for methods without a name in a contract.
    pub requests: Vec<String>,
}

/// What happened to the requests of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Requests that match no endpoint are now allowed.
    UnlistedOpened,
    /// The requests match no endpoint any more. The attribute may have been removed.
    Gone,
    /// The requirement, or the reason why the endpoint is public, is another one.
    Changed,
    /// Requests that match no endpoint are now refused.
    UnlistedClosed,
    /// The requests matched no endpoint before, and were allowed.
    Covered,
    /// The requests matched no endpoint before, and were refused.
    Added,
    /// The same requirement, another handler.
    Moved,
    /// The same requirement, another name of a path parameter.
    Renamed,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::UnlistedOpened,
        Self::Gone,
        Self::Changed,
        Self::UnlistedClosed,
        Self::Covered,
        Self::Added,
        Self::Moved,
        Self::Renamed,
    ];

    /// The name, for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnlistedOpened => "unlisted-opened",
            Self::Gone => "gone",
            Self::Changed => "changed",
            Self::UnlistedClosed => "unlisted-closed",
            Self::Covered => "covered",
            Self::Added => "added",
            Self::Moved => "moved",
            Self::Renamed => "renamed",
        }
    }
}

/// The direction of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Axis {
    /// A caller is authorized who was refused before.
    Weakened,
    /// A caller is refused who was authorized before, and no caller is authorized who was refused.
    Tightened,
    /// Neither.
    Neutral,
}

impl Axis {
    /// The name, for people and for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Weakened => "weakened",
            Self::Tightened => "tightened",
            Self::Neutral => "neutral",
        }
    }
}

/// The changes from the old contract to the new one: weakened first, then tightened, then neutral, each sorted by path.
/// `version` and `service` are ignored.
///
/// # Errors
/// If the paths overlap in more ways than can be enumerated.
pub fn compare(old: &Contract, new: &Contract) -> Result<Vec<Change>, TooManyOverlaps> {
    let mut changes = Vec::new();
    match (old.unlisted(), new.unlisted()) {
        (Unlisted::Deny, Unlisted::Allow) => changes.push(Change::of_kind(Kind::UnlistedOpened)),
        (Unlisted::Allow, Unlisted::Deny) => changes.push(Change::of_kind(Kind::UnlistedClosed)),
        _ => {}
    }
    let (old_table, new_table) = (old.table(), new.table());
    let (old_indices, new_indices) = (indices(&old_table), indices(&new_table));
    // The change between each pair of endpoints, keyed by their indices.
    let mut pairs: HashMap<(Option<usize>, Option<usize>), Option<usize>> = HashMap::new();
    // Endpoints of the old contract some of whose requests still match an endpoint.
    let mut remaining = HashSet::new();
    let templates = [old, new].into_iter().flat_map(|contract| {
        contract.endpoints().iter().map(|endpoint| segments(&contract.whole_path(endpoint)))
    });
    representatives(templates, |path| {
        for method in methods() {
            let after = new_table.find(method, path);
            // If the old path did not accept the method, some servers continued with a less specific path that did.
            let before = old_table.find(method, path).or_else(|| {
                let fallen = after.map(|_| old_table.falling_through(method, path));
                fallen.into_iter().flatten().next()
            });
            let index = |indices: &HashMap<_, usize>, endpoint: Option<&Endpoint>| {
                endpoint.and_then(|endpoint| indices.get(&ptr::from_ref(endpoint)).copied())
            };
            let pair = (index(&old_indices, before), index(&new_indices, after));
            let change = *pairs.entry(pair).or_insert_with(|| {
                let (before, after) = (whole(old, before), whole(new, after));
                changes.push(Change::between(before, after, old.unlisted())?);
                Some(changes.len() - 1)
            });
            if after.is_some() {
                remaining.extend(pair.0);
            } else if let Some(change) = change.and_then(|index| changes.get_mut(index)) {
                change.requests.push(format!("{method} {}", readable(path)));
            }
        }
        0
    })?;
    for ((before, after), change) in pairs {
        // The route alone describes a change, unless an endpoint has lost only a part of its requests.
        let is_part = after.is_none() && before.is_some_and(|index| remaining.contains(&index));
        if let Some(change) = change.filter(|_| !is_part).and_then(|at| changes.get_mut(at)) {
            change.requests.clear();
        }
    }
    for change in &mut changes {
        change.requests.sort_unstable();
        change.requests.dedup();
    }
    changes.sort_by_cached_key(|change| (change.axis(), change.kind, change.route()));
    Ok(changes)
}

/// A copy of the endpoint with its whole path, which makes sense without its contract.
fn whole(contract: &Contract, endpoint: Option<&Endpoint>) -> Option<Endpoint> {
    endpoint.map(|endpoint| {
        let path = contract.whole_path(endpoint).into_owned();
        Endpoint { path, ..endpoint.clone() }
    })
}

impl Change {
    fn of_kind(kind: Kind) -> Self {
        let (weakened, tightened, requests) = Default::default();
        Self { kind, old: None, new: None, weakened, tightened, requests }
    }

    fn between(old: Option<Endpoint>, new: Option<Endpoint>, before: Unlisted) -> Option<Self> {
        let (mut weakened, mut tightened) = (Vec::new(), Vec::new());
        let kind = match (&old, &new) {
            (None, None) => return None,
            (Some(_), None) => Kind::Gone,
            (None, Some(_)) if before == Unlisted::Allow => Kind::Covered,
            (None, Some(_)) => Kind::Added,
            (Some(old), Some(new))
                if (&old.requirement, old.public, &old.reason)
                    != (&new.requirement, new.public, &new.reason) =>
            {
                weakened = weakened_endpoint(old, new);
                tightened = weakened_endpoint(new, old);
                Kind::Changed
            }
            (Some(old), Some(new)) if old.handler != new.handler => Kind::Moved,
            (Some(old), Some(new)) if old.path != new.path => Kind::Renamed,
            (Some(_), Some(_)) => return None,
        };
        Some(Self { old, new, weakened, tightened, ..Self::of_kind(kind) })
    }

    /// The direction of the change. A change in both directions counts as weakened.
    pub fn axis(&self) -> Axis {
        match self.kind {
            Kind::UnlistedOpened | Kind::Gone => Axis::Weakened,
            // Everybody may now send requests that were refused before.
            Kind::Added if self.is_public() => Axis::Weakened,
            // Everybody was allowed before, too.
            Kind::Covered if self.is_public() => Axis::Neutral,
            _ if !self.weakened.is_empty() => Axis::Weakened,
            Kind::UnlistedClosed | Kind::Covered => Axis::Tightened,
            Kind::Changed if !self.tightened.is_empty() => Axis::Tightened,
            _ => Axis::Neutral,
        }
    }

    /// Whether everybody may now send the requests.
    pub(crate) fn is_public(&self) -> bool {
        self.new.as_ref().is_some_and(|endpoint| endpoint.public)
    }

    /// The method and path of the requests, from the narrower of the two endpoints; `None` for requests that match no
    /// endpoint.
    pub fn route(&self) -> Option<String> {
        let narrower = match (&self.old, &self.new) {
            (Some(old), Some(new)) if new.method.is_none() && old.method.is_some() => old,
            (_, Some(new)) => new,
            (Some(old), None) => old,
            (None, None) => return None,
        };
        Some(narrower.route())
    }

    /// The route that the requests matched before, if they match another one now. The names of path parameters do not
    /// matter.
    pub fn previous_route(&self) -> Option<String> {
        let (old, new) = self.old.as_ref().zip(self.new.as_ref())?;
        let is_same =
            old.method == new.method && without_names(&old.path) == without_names(&new.path);
        (!is_same).then(|| old.route())
    }
}
