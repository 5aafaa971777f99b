//! What changed between two contracts, on two axes: *weakened*, somebody is let in who was refused; and
//! *tightened*, somebody is refused who was let in. Endpoints are compared by the requests that they
//! take, so that a route which is put in front of another is seen for what it does.

use crate::concerned::{Pair, Side, concerned};
use crate::contract::{Contract, Unlisted};
use crate::endpoint::Endpoint;
use crate::gap::gaps;
use crate::http_method::{HttpMethod, methods};
use crate::overlap::twins;
use crate::requirement::{Field, Requirement};
use crate::samples::{Tangled, readable, samples, without_names};
use crate::text::{fingerprint, nameless};
use std::collections::{HashMap, HashSet};

/// One change, of the requests that one endpoint of the old contract and one of the new take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub kind: Kind,
    /// The endpoint that took them, with its whole path: [`Contract::base`] included.
    pub old: Option<Endpoint>,
    /// The endpoint that takes them, with its whole path.
    pub new: Option<Endpoint>,
    /// In what the new contract lets in whom the old one refuses.
    pub weakened: Vec<Field>,
    /// In what the new contract refuses whom the old one lets in.
    pub tightened: Vec<Field>,
    /// Which requests meet no endpoint any more, where it is not all that the old one took: method and path,
    /// `…` for any value, and `other methods` for those that have no name in a contract.
    pub requests: Vec<String>,
    /// The stricter endpoints that some servers take a new one for: requests in which they cannot be told apart
    /// were refused before.
    pub twins: Vec<Twin>,
    /// All requests that are concerned.
    concerned: String,
}

/// A stricter endpoint that some servers take a new one for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twin {
    /// Its method and whole path.
    pub route: String,
    /// In what it asks for more.
    pub weakened: Vec<Field>,
    /// What it asks for, its lists in order.
    requirement: Requirement,
}

/// What happened to the requests of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Requests that no endpoint takes are let through now.
    UnlistedOpened,
    /// They meet no endpoint any more, which cannot be told from one whose attribute was removed.
    Gone,
    /// Something else is asked.
    Changed,
    /// Requests that no endpoint takes are refused now.
    UnlistedClosed,
    /// They met no endpoint before, and were let through.
    Covered,
    /// They met no endpoint before.
    Added,
    /// The same is asked, at another handler.
    Moved,
    /// The same is asked, and a path parameter has another name.
    Renamed,
}

impl Kind {
    /// Its name, for programs.
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

/// Where a change stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Axis {
    /// Somebody is let in who was refused.
    Weakened,
    /// Somebody is refused who was let in, and nobody is let in who was refused.
    Tightened,
    /// Neither.
    Neutral,
}

impl Axis {
    /// Its name, for people and for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Weakened => "weakened",
            Self::Tightened => "tightened",
            Self::Neutral => "neutral",
        }
    }
}

/// What changed from the old contract to the new one: weakened first, then tightened, then neutral, each
/// by path. `version` and `service` do not count.
///
/// # Errors
/// When the paths overlap in more ways than can be looked at.
pub fn compare(old: &Contract, new: &Contract) -> Result<Vec<Change>, Tangled> {
    let mut changes = Vec::new();
    match (old.unlisted(), new.unlisted()) {
        (Unlisted::Deny, Unlisted::Allow) => changes.push(Change::whole(Kind::UnlistedOpened)),
        (Unlisted::Allow, Unlisted::Deny) => changes.push(Change::whole(Kind::UnlistedClosed)),
        _ => {}
    }
    let (before, after) = (Side::new(old), Side::new(new));
    let mut seen: HashMap<Pair, Option<usize>> = HashMap::new();
    let mut going_on = HashSet::new();
    samples(before.segments().chain(after.segments()), |path| {
        for method in methods() {
            let found = after.table.find(method, path);
            // Where the old path did not take the method, some servers went on to a more general one that did.
            let taken = before.table.find(method, path).or_else(|| {
                let fallen = found.map(|_| before.table.falling_through(method, path));
                fallen.into_iter().flatten().next()
            });
            let pair = (
                taken.and_then(|endpoint| before.place(endpoint)),
                found.and_then(|endpoint| after.place(endpoint)),
            );
            let change = *seen.entry(pair).or_insert_with(|| {
                let pair = (whole(old, taken), whole(new, found));
                changes.push(Change::between(pair.0, pair.1, old.unlisted())?);
                Some(changes.len() - 1)
            });
            if found.is_some() {
                going_on.extend(pair.0);
            } else if let Some(change) = change.and_then(|at| changes.get_mut(at)) {
                change.requests.push(format!("{method} {}", readable(path)));
            }
        }
        0
    })?;
    let stood: HashSet<usize> =
        seen.keys().filter(|(old, _)| old.is_some()).filter_map(|(_, new)| *new).collect();
    let changed: HashMap<Pair, usize> =
        seen.into_iter().filter_map(|(pair, change)| Some((pair, change?))).collect();
    if changed.is_empty() {
        return Ok(changes);
    }
    let twins = twins(new, &after.table)?;
    for (change, concerned) in concerned(&before, &after, &changed)? {
        changes[change].concerned = concerned;
    }
    for ((old_place, new_place), change) in changed {
        let change = &mut changes[change];
        let Some(at) = new_place else {
            // Of one that is gone altogether, its route says it all.
            if !old_place.is_some_and(|at| going_on.contains(&at)) {
                change.requests.clear();
            }
            continue;
        };
        change.requests.clear();
        // Requests that the old contract had stated in this spelling were not refused for it.
        if old_place.is_some_and(|old| before.template(old) == after.template(at)) {
            continue;
        }
        let endpoint = &new.endpoints()[at];
        let twins = twins.get(&at).into_iter().flatten();
        let twins = twins.filter(|twin| after.place(twin).is_some_and(|at| stood.contains(&at)));
        change.twins.extend(twins.map(|twin| Twin {
            route: new.route(twin),
            weakened: gaps(&twin.requirement, &endpoint.requirement),
            requirement: twin.requirement.sorted(),
        }));
    }
    for change in &mut changes {
        change.requests.sort_unstable();
        change.requests.dedup();
    }
    changes.sort_by_cached_key(|change| (change.axis(), change.kind, change.route()));
    Ok(changes)
}

/// A change stands without its contract.
fn whole(contract: &Contract, endpoint: Option<&Endpoint>) -> Option<Endpoint> {
    endpoint.map(|endpoint| {
        let path = contract.whole_path(endpoint).into_owned();
        Endpoint { path, ..endpoint.clone() }
    })
}

impl Change {
    fn whole(kind: Kind) -> Self {
        Self {
            kind,
            old: None,
            new: None,
            weakened: Vec::new(),
            tightened: Vec::new(),
            requests: Vec::new(),
            twins: Vec::new(),
            concerned: String::new(),
        }
    }

    fn between(old: Option<Endpoint>, new: Option<Endpoint>, before: Unlisted) -> Option<Self> {
        let (mut weakened, mut tightened) = (Vec::new(), Vec::new());
        let kind = match (&old, &new) {
            (None, None) => return None,
            (Some(_), None) => Kind::Gone,
            (None, Some(_)) if before == Unlisted::Allow => Kind::Covered,
            (None, Some(_)) => Kind::Added,
            (Some(old), Some(new)) if old.requirement != new.requirement => {
                weakened = gaps(&old.requirement, &new.requirement);
                tightened = gaps(&new.requirement, &old.requirement);
                Kind::Changed
            }
            (Some(old), Some(new)) if old.handler != new.handler => Kind::Moved,
            (Some(old), Some(new)) if old.path != new.path => Kind::Renamed,
            (Some(_), Some(_)) => return None,
        };
        Some(Self { old, new, weakened, tightened, ..Self::whole(kind) })
    }

    /// Where the change stands. One that does both counts as weakened.
    pub fn axis(&self) -> Axis {
        match self.kind {
            Kind::UnlistedOpened | Kind::Gone => Axis::Weakened,
            _ if !(self.weakened.is_empty() && self.twins.is_empty()) => Axis::Weakened,
            Kind::UnlistedClosed | Kind::Covered => Axis::Tightened,
            Kind::Changed if !self.tightened.is_empty() => Axis::Tightened,
            _ => Axis::Neutral,
        }
    }

    /// Method and path of the requests that are concerned, as the narrower of the two endpoints has
    /// them; `None` for those that no endpoint takes.
    pub fn route(&self) -> Option<String> {
        let narrower = match (&self.old, &self.new) {
            (Some(old), Some(new)) if new.method.is_none() && old.method.is_some() => old,
            (_, Some(new)) => new,
            (Some(old), None) => old,
            (None, None) => return None,
        };
        Some(narrower.route())
    }

    /// What a waiver names: the same as long as this very change is there, whatever else changes.
    pub fn fingerprint(&self) -> String {
        let side = |endpoint: &Option<Endpoint>| {
            let endpoint = endpoint.as_ref().map(|endpoint| {
                let path = without_names(&endpoint.path);
                (endpoint.method.map(HttpMethod::as_str), path, endpoint.requirement.sorted())
            });
            serde_json::to_string(&endpoint).unwrap_or_default()
        };
        let twin = |twin: &Twin| {
            let asked = serde_json::to_string(&twin.requirement).unwrap_or_default();
            format!("{} {asked}", nameless(&twin.route))
        };
        let twins = self.twins.iter().map(twin).collect::<Vec<_>>();
        let (old, new, twins) = (side(&self.old), side(&self.new), twins.join("\n"));
        // Where a handler stands, and what a parameter is called, is no part of it.
        let kind = match self.kind {
            Kind::Moved | Kind::Renamed => "same",
            kind => kind.as_str(),
        };
        let text = format!("{kind}\n{old}\n{new}\n{}\n{twins}", self.concerned);
        fingerprint(&text)
    }
}
