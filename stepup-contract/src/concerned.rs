//! Which requests a change concerns: those that both its endpoints can take, except those that others take first.
//! Told by these exceptions, and not by the requests, it is the same as long as they are, whatever else there is
//! beside them.

use crate::contract::Contract;
use crate::endpoint::Endpoint;
use crate::http_method::methods;
use crate::overlap::places;
use crate::path::{Segment, segments};
use crate::samples::{Tangled, samples, without_names};
use crate::table::{Table, rank};
use std::collections::{BTreeSet, HashMap};
use std::ptr;

/// An endpoint of the old contract and one of the new, by their places.
pub(crate) type Pair = (Option<usize>, Option<usize>);

/// A contract in a comparison: its table, and its endpoints by what they are.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) table: Table,
    places: HashMap<*const Endpoint, usize>,
    segments: Vec<Vec<Segment>>,
    /// The whole template of each endpoint, without its parameters' names.
    templates: Vec<String>,
}

impl Side {
    pub(crate) fn new(contract: &Contract) -> Self {
        let (table, endpoints) = (contract.table(), contract.endpoints().iter());
        let wholes = Vec::from_iter(endpoints.map(|endpoint| contract.whole_path(endpoint)));
        Self {
            places: places(&table),
            table,
            segments: wholes.iter().map(|whole| segments(whole)).collect(),
            templates: wholes.iter().map(|whole| without_names(whole)).collect(),
        }
    }

    /// The whole templates.
    pub(crate) fn segments(&self) -> impl Iterator<Item = Vec<Segment>> {
        self.segments.iter().cloned()
    }

    /// The place of an endpoint of the table.
    pub(crate) fn place(&self, endpoint: &Endpoint) -> Option<usize> {
        self.places.get(&ptr::from_ref(endpoint)).copied()
    }

    /// The template of the endpoint at this place.
    pub(crate) fn template(&self, at: usize) -> &str {
        self.templates.get(at).map_or("", String::as_str)
    }

    /// Where the endpoint at this place stands among those of its template that take this method.
    fn rank(&self, at: usize, method: &str) -> Option<usize> {
        self.table.endpoints().get(at).and_then(|endpoint| rank(endpoint, method))
    }

    /// Those of these places, the most specific first, that are more specific than this one.
    fn before<'a>(&self, at: usize, places: &'a [usize]) -> &'a [usize] {
        let end = places.iter().position(|other| self.template(*other) == self.template(at));
        end.and_then(|end| places.get(..end)).unwrap_or_default()
    }

    /// Whether no other of these endpoints with its template takes this method before it does.
    fn is_first(&self, at: usize, method: &str, places: &[usize]) -> bool {
        let alike = places.iter().filter(|other| self.template(**other) == self.template(at));
        let first = alike.filter_map(|other| self.rank(*other, method)).min();
        first.is_some() && self.rank(at, method) == first
    }

    fn matching(&self, path: &str) -> Vec<usize> {
        self.table.matching(path).into_iter().filter_map(|endpoint| self.place(endpoint)).collect()
    }
}

/// Why a pair does not have requests of a template, or what a template is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Except<'a> {
    /// One of the contracts looks there first.
    Other(&'a str),
    /// They have gone from an endpoint to this one, and so are not gone.
    Taken(&'a str),
    /// They have gone all the same, for the new contract looks there first.
    Lost(&'a str),
}

/// The requests of a pair.
#[derive(Debug, Default)]
struct Requests<'a> {
    /// The methods that both take, as bits.
    methods: u32,
    /// By what is excepted, for which methods.
    exceptions: HashMap<Except<'a>, u32>,
}

impl Requests<'_> {
    fn to_text(&self) -> String {
        let exceptions: BTreeSet<_> = self.exceptions.iter().collect();
        let mut text = format!("{:x}", self.methods);
        for (except, methods) in exceptions {
            text.push_str(&format!("\n{methods:x} {except:?}"));
        }
        text
    }
}

/// The requests of each of these pairs, as a text for each change.
///
/// Where an endpoint takes them still, they are what is left of both templates without all that is more specific than
/// the new endpoint, and without all that is more specific than the old one and takes the method: a union, of which
/// the most general templates are noted. Where none does, one that is more specific may leave them without an
/// endpoint inside of what another takes, and so on inwards: noted is the most general template from which on inwards
/// all take the method, or none does.
///
/// # Errors
/// When the paths overlap in too many ways.
pub(crate) fn concerned(
    old: &Side,
    new: &Side,
    changes: &HashMap<Pair, usize>,
) -> Result<HashMap<usize, String>, Tangled> {
    let mut requests: HashMap<usize, Requests<'_>> = HashMap::new();
    samples(old.segments().chain(new.segments()), |path| {
        let (olds, news) = (old.matching(path), new.matching(path));
        let each = |places: &[usize]| {
            Vec::from_iter([None].into_iter().chain(places.iter().copied().map(Some)))
        };
        let (befores, afters) = (each(&olds), each(&news));
        let pairs = befores.iter().flat_map(|before| afters.iter().map(|after| (*before, *after)));
        for pair in pairs {
            let Some(change) = changes.get(&pair) else { continue };
            let requests = requests.entry(*change).or_default();
            requests.look((old, &olds), (new, &news), pair);
        }
        // Looking one up takes as little of a sample's time.
        befores.len() * afters.len() / 64
    })?;
    Ok(requests.into_iter().map(|(change, requests)| (change, requests.to_text())).collect())
}

impl<'a> Requests<'a> {
    /// Looks at a path that both templates of the pair match, among those that match it in both contracts.
    fn look(
        &mut self,
        (old, olds): (&'a Side, &[usize]),
        (new, news): (&'a Side, &[usize]),
        (before, after): Pair,
    ) {
        let own = methods().enumerate().filter(|(_, method)| {
            before.is_none_or(|at| old.is_first(at, method, olds))
                && after.is_none_or(|at| new.is_first(at, method, news))
        });
        let own: Vec<(u32, &str)> = own.map(|(at, method)| (1 << at, method)).collect();
        let all = own.iter().fold(0, |all, (bit, _)| all | bit);
        self.methods |= all;
        let olds = before.map_or(olds, |at| old.before(at, olds));
        if let Some(after) = after {
            if let Some(&other) = new.before(after, news).last() {
                self.except(Except::Other(new.template(other)), all);
                return;
            }
            for (bit, method) in own {
                let mut others = olds.iter().rev();
                if let Some(&other) = others.find(|other| old.rank(**other, method).is_some()) {
                    self.except(Except::Other(old.template(other)), bit);
                }
            }
        } else if let Some(&other) = olds.last() {
            self.except(Except::Other(old.template(other)), all);
        } else {
            // Those of one template stand beside each other.
            let alike = |one: &usize, other: &usize| new.template(*one) == new.template(*other);
            let takes =
                |group: &&[usize], method| group.iter().any(|at| new.rank(*at, method).is_some());
            for (bit, method) in own {
                let mut groups = news.chunk_by(alike).peekable();
                let Some(mut last) = groups.next() else { continue };
                let taken = takes(&last, method);
                while let Some(group) = groups.next_if(|group| takes(group, method) == taken) {
                    last = group;
                }
                let template = last.first().map_or("", |at| new.template(*at));
                if taken {
                    self.except(Except::Taken(template), bit);
                } else if groups.peek().is_some() {
                    self.except(Except::Lost(template), bit);
                }
            }
        }
    }

    fn except(&mut self, except: Except<'a>, methods: u32) {
        *self.exceptions.entry(except).or_default() |= methods;
    }
}
