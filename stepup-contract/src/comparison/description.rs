//! A change described in sentences, for people.

use crate::comparison::compare::{Change, Kind};
use crate::model::{Endpoint, Field};
use crate::path::without_names;

impl Change {
    /// The requests that have changed: their route, or those that match no endpoint.
    pub fn subject(&self) -> String {
        self.route().unwrap_or_else(|| "requests that match no endpoint".into())
    }

    /// What happened, in one sentence for each aspect.
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences = match self.kind {
            Kind::UnlistedOpened => vec!["are now allowed; they were refused before".into()],
            Kind::UnlistedClosed => vec!["are now refused; they were allowed before".into()],
            Kind::Gone if !self.requests.is_empty() => {
                let requests = self.requests.join(", ");
                vec![format!("no longer covers {requests}, which may be unguarded")]
            }
            Kind::Gone => {
                vec!["is gone from the contract; its handler may now be unguarded".into()]
            }
            Kind::Added => vec!["is new".into()],
            Kind::Covered => vec![
                "is new; its requests matched no endpoint before, and were allowed if their path has only one reading"
                    .into(),
            ],
            Kind::Moved | Kind::Renamed => Vec::new(),
            Kind::Changed => changed(self),
        };
        if let (Some(old), Some(new)) = (&self.old, &self.new) {
            sentences.extend(moved(old, new));
        }
        sentences
    }
}

/// Another handler, route or parameter name.
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

fn changed(change: &Change) -> Vec<String> {
    let (Some(old), Some(new)) = (&change.old, &change.new) else { return Vec::new() };
    let value = |endpoint: &Endpoint, field: Field| match field {
        Field::StepUp => endpoint.trust().as_str().to_owned(),
        field => endpoint.requirement.field_text(field),
    };
    let sentence = |field: Field, axis: &str| {
        let name = if field == Field::StepUp { "trust" } else { field.key() };
        format!("{name}{axis}: {} → {}", value(old, field), value(new, field))
    };
    let Change { weakened, tightened, .. } = change;
    let mut sentences: Vec<String> = weakened.iter().map(|f| sentence(*f, " weakened")).collect();
    sentences.extend(tightened.iter().map(|field| sentence(*field, " tightened")));
    if sentences.is_empty() {
        sentences.push("authorizes the same callers".into());
    }
    // Fields that changed without weakening or tightening the requirement.
    let described = |field| {
        weakened.contains(&field)
            || tightened.contains(&field)
            || (field == Field::Risk
                && [weakened, tightened].iter().any(|f| f.contains(&Field::RiskDeny)))
    };
    let others = Field::ALL.into_iter().filter(|field| !described(*field));
    let others = others.filter(|field| value(old, *field) != value(new, *field));
    sentences.extend(others.map(|field| sentence(field, "")));
    sentences
}
