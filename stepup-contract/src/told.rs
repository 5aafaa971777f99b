//! A change in words, for people.

use crate::compare::{Change, Kind, Twin};
use crate::endpoint::Endpoint;
use crate::requirement::Field;

impl Change {
    /// The requests that are concerned: their route, or those that match no endpoint.
    pub fn subject(&self) -> String {
        self.route().unwrap_or_else(|| "requests that match no endpoint".into())
    }

    /// What happened, in one sentence for each thing.
    pub fn sentences(&self) -> Vec<String> {
        let handler = |endpoint: &Option<Endpoint>| {
            endpoint.as_ref().and_then(|endpoint| endpoint.handler.clone()).unwrap_or("none".into())
        };
        let path = |endpoint: &Option<Endpoint>| {
            endpoint.as_ref().map(|endpoint| endpoint.path.clone()).unwrap_or_default()
        };
        let mut sentences = match self.kind {
            Kind::UnlistedOpened => vec!["are now let through; they were refused before".into()],
            Kind::UnlistedClosed => vec!["are now refused; they were let through before".into()],
            Kind::Gone if !self.requests.is_empty() => {
                vec![format!("now leaves out {}, which may be unguarded", self.requests.join(", "))]
            }
            Kind::Gone => {
                vec!["is gone from the contract; its handler may now be unguarded".into()]
            }
            Kind::Added => vec!["is new".into()],
            // What some servers take for another endpoint was refused.
            Kind::Covered if !self.twins.is_empty() => vec!["is new".into()],
            Kind::Covered => vec![
                "is new; its requests matched no endpoint before, and such were let through".into(),
            ],
            Kind::Moved => {
                vec![format!("moved from {} to {}", handler(&self.old), handler(&self.new))]
            }
            Kind::Renamed => {
                vec![format!("renamed from {} to {}", path(&self.old), path(&self.new))]
            }
            _ => changed(self),
        };
        sentences.extend(self.twins.iter().map(mistaken));
        sentences
    }
}

/// For what servers may take a new endpoint.
fn mistaken(Twin { route, weakened }: &Twin) -> String {
    let less: Vec<&str> = weakened.iter().map(|field| field.key()).collect();
    let less = less.join(", ");
    format!("some servers cannot tell it from {route}, and it requires less ({less})")
}

fn changed(change: &Change) -> Vec<String> {
    let fields = change.weakened.iter().map(|field| ("weakened", *field));
    let fields = fields.chain(change.tightened.iter().map(|field| ("tightened", *field)));
    let value = |endpoint: &Option<Endpoint>, field: Field| {
        endpoint.as_ref().map(|endpoint| endpoint.requirement.said(field)).unwrap_or_default()
    };
    let mut sentences: Vec<String> = fields
        .map(|(axis, field)| {
            let (old, new) = (value(&change.old, field), value(&change.new, field));
            format!("{} {axis}: {old} → {new}", field.key())
        })
        .collect();
    if sentences.is_empty() {
        sentences.push("requires the same in other words".into());
    }
    if let (Some(old), Some(new)) = (&change.old, &change.new)
        && old.route() != new.route()
    {
        sentences.push(format!("its requests matched {} before", old.route()));
    }
    sentences
}
