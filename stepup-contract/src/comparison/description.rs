//! A change described in sentences, for people.

use crate::comparison::compare::{Change, Kind};
use crate::model::{Endpoint, Field};

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
            Kind::Added | Kind::Covered if self.is_public() => {
                let reason = self.new.as_ref().and_then(|new| new.reason.as_deref());
                vec![format!("is new, and public: {}", reason.unwrap_or("no reason given"))]
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
            sentences.extend(moved(old, new, self.previous_route()));
        }
        sentences
    }
}

/// Another handler, route or parameter name.
fn moved(old: &Endpoint, new: &Endpoint, previous_route: Option<String>) -> Vec<String> {
    let mut sentences = Vec::new();
    let handler = |endpoint: &Endpoint| endpoint.handler.clone().unwrap_or_else(|| "none".into());
    if old.handler != new.handler {
        sentences.push(format!("moved from {} to {}", handler(old), handler(new)));
    }
    if let Some(previous) = previous_route {
        sentences.push(format!("its requests matched {previous} before"));
    } else if old.path != new.path {
        sentences.push(format!("renamed from {} to {}", old.path, new.path));
    }
    sentences
}

fn changed(change: &Change) -> Vec<String> {
    let (Some(old), Some(new)) = (&change.old, &change.new) else { return Vec::new() };
    let sentence = |field: Field, axis: &str| {
        format!("{}{axis}: {} → {}", field.name(), old.field_text(field), new.field_text(field))
    };
    let Change { weakened, tightened, .. } = change;
    let axis = |field| match tightened.contains(field) {
        true => " weakened and tightened",
        false => " weakened",
    };
    let mut sentences: Vec<String> = weakened.iter().map(|f| sentence(*f, axis(f))).collect();
    let only_tightened = tightened.iter().filter(|field| !weakened.contains(field));
    sentences.extend(only_tightened.map(|field| sentence(*field, " tightened")));
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
    let others = others.filter(|field| old.field_text(*field) != new.field_text(*field));
    sentences.extend(others.map(|field| sentence(field, "")));
    if old.reason != new.reason {
        let reason = |endpoint: &Endpoint| endpoint.reason.clone().unwrap_or_else(|| "none".into());
        sentences.push(format!("reason: {} → {}", reason(old), reason(new)));
    }
    sentences
}
