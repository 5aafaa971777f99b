//! Contracts and their changes in words, for people.

use stepup_contract::{Change, ContractView, Endpoint, Field, Kind, Method, Requirement};

/// The requests that are concerned.
pub(crate) fn route(change: &Change) -> String {
    change.route().unwrap_or_else(|| "requests that match no endpoint".into())
}

/// Where a contract says more than is shown of it.
pub(crate) fn unknown(contract: &ContractView) -> Vec<&str> {
    contract.warnings().iter().filter_map(|warning| warning.pointer()).collect()
}

/// That a contract says more than is shown of it.
pub(crate) fn not_shown(contract: &ContractView) -> Option<String> {
    let fields = unknown(contract).join(", ");
    (!fields.is_empty()).then(|| {
        format!("Not understood, and not shown: {fields}. This may be less than is asked.")
    })
}

/// What happened, in one sentence for each thing.
pub(crate) fn sentences(change: &Change) -> Vec<String> {
    let handler = |endpoint: &Option<Endpoint>| {
        endpoint.as_ref().and_then(|endpoint| endpoint.handler.clone()).unwrap_or("none".into())
    };
    let path = |endpoint: &Option<Endpoint>| {
        endpoint.as_ref().map(|endpoint| endpoint.path.clone()).unwrap_or_default()
    };
    match change.kind {
        Kind::UnlistedOpened => vec!["are now let through; they were refused before".into()],
        Kind::UnlistedClosed => vec!["are now refused; they were let through before".into()],
        Kind::Gone => vec!["is gone from the contract; its handler may now be unguarded".into()],
        Kind::Added => vec!["is new".into()],
        Kind::Covered => vec!["is new; its requests were let through before".into()],
        Kind::Moved => {
            vec![format!("moved from {} to {}", handler(&change.old), handler(&change.new))]
        }
        Kind::Renamed => {
            vec![format!("renamed from {} to {}", path(&change.old), path(&change.new))]
        }
        _ => changed(change),
    }
}

fn changed(change: &Change) -> Vec<String> {
    let fields = change.weakened.iter().map(|field| ("weakened", *field));
    let fields = fields.chain(change.tightened.iter().map(|field| ("tightened", *field)));
    let value = |endpoint: &Option<Endpoint>, field: Field| {
        let security = endpoint.as_ref().and_then(|e| serde_json::to_value(&e.requirement).ok());
        let name = field.key().split('/').next().unwrap_or_default();
        match security.as_ref().and_then(|security| security.get(name)) {
            Some(value) => value.to_string(),
            None => "not required".to_owned(),
        }
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

/// Seconds as people say them.
pub(crate) fn age(seconds: u32) -> String {
    match seconds {
        0 => "0 s".into(),
        _ if seconds.is_multiple_of(86_400) => format!("{} d", seconds / 86_400),
        _ if seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        _ if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

/// What an endpoint asks, a part each, in the order in which it is looked at.
pub(crate) fn asks(requirement: &Requirement) -> Vec<String> {
    let list = |names: Vec<String>, word: &str| match &names[..] {
        [] => None,
        [one] => Some(one.clone()),
        _ => Some(names.join(word)),
    };
    let methods = |methods: &[Method]| methods.iter().map(Method::to_string).collect();
    let mut asks = Vec::new();
    asks.extend(requirement.bound.then(|| "bound token".to_owned()));
    if let Some(risk) = requirement.risk {
        asks.extend(risk.deny.map(|level| format!("risk below {level}")));
        asks.extend(risk.step_up.map(|level| format!("step-up from risk {level}")));
    }
    asks.extend(list(methods(&requirement.methods), " and "));
    asks.extend(list(methods(&requirement.any_methods), " or "));
    asks.extend(list(requirement.acr.clone(), " or ").map(|acr| format!("acr {acr}")));
    asks.extend(requirement.max_age.map(|seconds| format!("at most {} ago", age(seconds))));
    asks.extend(list(requirement.scopes.clone(), " and ").map(|scopes| format!("scope {scopes}")));
    asks.extend(requirement.per_action.then(|| "confirmed call by call".to_owned()));
    asks
}

/// A text in a cell of a Markdown table: no HTML, no code, no further cell.
pub(crate) fn cell(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('`', "'");
    text.replace('|', "\\|").replace(char::is_control, " ")
}
