//! A change in words, for people.

use crate::compare::{Change, Kind, Twin};
use crate::endpoint::Endpoint;
use crate::requirement::Field;
use crate::samples::without_names;

impl Change {
    /// The requests that are concerned: their route, or those that match no endpoint.
    pub fn subject(&self) -> String {
        self.route().unwrap_or_else(|| "requests that match no endpoint".into())
    }

    /// What happened, in one sentence for each thing.
    pub fn sentences(&self) -> Vec<String> {
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
                "is new; its requests matched no endpoint before, and such were let through where their path can be \
                 read in one way only"
                    .into(),
            ],
            Kind::Moved | Kind::Renamed => Vec::new(),
            _ => changed(self),
        };
        if let (Some(old), Some(new)) = (&self.old, &self.new) {
            sentences.extend(moved(old, new));
        }
        sentences.extend(self.twins.iter().map(mistaken));
        sentences
    }
}

/// What is another's now, or has another name.
fn moved(old: &Endpoint, new: &Endpoint) -> Vec<String> {
    let mut sentences = Vec::new();
    let handler = |endpoint: &Endpoint| endpoint.handler.clone().unwrap_or_else(|| "none".into());
    if old.handler != new.handler {
        sentences.push(format!("moved from {} to {}", handler(old), handler(new)));
    }
    if without_names(&old.path) == without_names(&new.path) && old.method == new.method {
        let renamed = old.path != new.path;
        sentences.extend(renamed.then(|| format!("renamed from {} to {}", old.path, new.path)));
    } else {
        sentences.push(format!("its requests matched {} before", old.route()));
    }
    sentences
}

/// For what servers may take a new endpoint.
fn mistaken(Twin { route, weakened, .. }: &Twin) -> String {
    let less: Vec<&str> = weakened.iter().map(|field| field.key()).collect();
    let less = less.join(", ");
    format!("some servers cannot tell it from {route}, and it requires less ({less})")
}

fn changed(change: &Change) -> Vec<String> {
    let (Some(old), Some(new)) = (&change.old, &change.new) else { return Vec::new() };
    let said = |endpoint: &Endpoint, field: Field| match field {
        Field::StepUp => endpoint.trust().as_str().to_owned(),
        field => endpoint.requirement.said(field),
    };
    let sentence = |field: Field, axis: &str| {
        let name = if field == Field::StepUp { "trust" } else { field.key() };
        format!("{name}{axis}: {} → {}", said(old, field), said(new, field))
    };
    let Change { weakened, tightened, .. } = change;
    let mut sentences: Vec<String> = weakened.iter().map(|f| sentence(*f, " weakened")).collect();
    sentences.extend(tightened.iter().map(|field| sentence(*field, " tightened")));
    if sentences.is_empty() {
        sentences.push("lets the same people in".into());
    }
    // What stands beside it, or in its place.
    let told = |field| {
        weakened.contains(&field)
            || tightened.contains(&field)
            || (field == Field::Risk
                && [weakened, tightened].iter().any(|f| f.contains(&Field::RiskDeny)))
    };
    let others = Field::ALL.into_iter().filter(|field| !told(*field));
    let others = others.filter(|field| said(old, *field) != said(new, *field));
    sentences.extend(others.map(|field| sentence(field, "")));
    sentences
}
