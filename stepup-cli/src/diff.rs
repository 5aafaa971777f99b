//! `stepup diff`: what changed between two contracts, and whether it may.

use crate::failure::Failure;
use crate::input::contract;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use stepup_contract::{Axis, Change, Contract, Endpoint, Field, Kind, compare};

/// Compare two contracts.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The contract before: JSON, or a compiled program.
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The contract after: JSON, or a compiled program.
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Also exit with 1 when something is tightened: existing clients will be asked for more.
    #[arg(long, value_name = "AXIS", value_parser = ["tightened"])]
    deny: Option<String>,
    /// How to write what is found.
    #[arg(long, value_name = "FORM", value_enum, default_value = "text")]
    output: Output,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Output {
    /// A line for each change and one for each field.
    Text,
    /// One document, for programs.
    Json,
    /// A table, for a comment on a pull request.
    Markdown,
    /// Annotations of a workflow run on GitHub.
    Github,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (old, new) = (contract(&arguments.old)?, contract(&arguments.new)?);
    let changes = compare(&old, &new);
    let text = match arguments.output {
        Output::Text => text(&changes),
        Output::Json => json(&old, &new, &changes),
        Output::Markdown => markdown(&changes),
        Output::Github => github(&changes),
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    let count = |axis| changes.iter().filter(|change| change.axis() == axis).count();
    let (weakened, tightened) = (count(Axis::Weakened), count(Axis::Tightened));
    let summary =
        format!("{weakened} weakened, {tightened} tightened, {} neutral", count(Axis::Neutral));
    if weakened > 0 || (arguments.deny.is_some() && tightened > 0) {
        return Err(Failure::Found(summary));
    }
    eprintln!("{summary}");
    Ok(())
}

fn route(change: &Change) -> String {
    change.route().unwrap_or_else(|| "requests that no endpoint takes".into())
}

/// What happened, in one sentence for each thing.
fn sentences(change: &Change) -> Vec<String> {
    let handler = |endpoint: &Option<Endpoint>| {
        endpoint.as_ref().and_then(|endpoint| endpoint.handler.clone()).unwrap_or("none".into())
    };
    let path = |endpoint: &Option<Endpoint>| {
        endpoint.as_ref().map(|endpoint| endpoint.path.clone()).unwrap_or_default()
    };
    match change.kind {
        Kind::UnlistedOpened => vec!["are let through, and were refused".into()],
        Kind::UnlistedClosed => vec!["are refused, and were let through".into()],
        Kind::Gone => vec!["is gone from the contract; its handler may be unguarded".into()],
        Kind::Added => vec!["is new".into()],
        Kind::Covered => vec!["is new; its requests were let through".into()],
        Kind::Moved => {
            vec![format!("has moved from {} to {}", handler(&change.old), handler(&change.new))]
        }
        Kind::Renamed => {
            vec![format!("was written {} and is {}", path(&change.old), path(&change.new))]
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
            None => "not asked".to_owned(),
        }
    };
    let mut sentences: Vec<String> = fields
        .map(|(axis, field)| {
            let (old, new) = (value(&change.old, field), value(&change.new, field));
            format!("{axis} in {}: {old}, now {new}", field.key())
        })
        .collect();
    if sentences.is_empty() {
        sentences.push("asks the same in other words".into());
    }
    if let (Some(old), Some(new)) = (&change.old, &change.new)
        && old.route() != new.route()
    {
        sentences.push(format!("its requests were taken by {}", old.route()));
    }
    sentences
}

fn text(changes: &[Change]) -> String {
    let mut text = String::new();
    for change in changes {
        let _ = writeln!(
            text,
            "{}: {} [{}]",
            change.axis().as_str(),
            route(change),
            change.fingerprint()
        );
        for sentence in sentences(change) {
            let _ = writeln!(text, "  {sentence}");
        }
    }
    text
}

fn json(old: &Contract, new: &Contract, changes: &[Change]) -> String {
    let keys = |fields: &[Field]| fields.iter().map(|field| field.key()).collect::<Vec<_>>();
    let changes: Vec<Value> = changes
        .iter()
        .map(|change| {
            json!({
                "axis": change.axis().as_str(),
                "kind": change.kind.as_str(),
                "route": change.route(),
                "weakened": keys(&change.weakened),
                "tightened": keys(&change.tightened),
                "old": change.old,
                "new": change.new,
                "fingerprint": change.fingerprint(),
            })
        })
        .collect();
    let document = json!({
        "old": {"service": old.service(), "version": old.version(), "digest": old.digest()},
        "new": {"service": new.service(), "version": new.version(), "digest": new.digest()},
        "changes": changes,
    });
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

fn markdown(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "The step-up contract has not changed.\n".into();
    }
    let mut text = String::from("| | requests | change | fingerprint |\n|---|---|---|---|\n");
    for change in changes {
        let cell = |text: &str| text.replace('|', "\\|");
        let said = cell(&sentences(change).join("<br>"));
        let (axis, route) = (change.axis().as_str(), cell(&route(change)));
        let axis = if axis == "weakened" { "**weakened**" } else { axis };
        let _ = writeln!(text, "| {axis} | `{route}` | {said} | `{}` |", change.fingerprint());
    }
    text
}

fn github(changes: &[Change]) -> String {
    let mut text = String::new();
    for change in changes {
        let level = match change.axis() {
            Axis::Weakened => "error",
            Axis::Tightened => "warning",
            Axis::Neutral => "notice",
        };
        let message = format!("{}: {}", route(change), sentences(change).join("; "));
        // The workflow commands' own escapes.
        let message = message.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
        let _ = writeln!(
            text,
            "::{level} title=Step-up contract {}::{message}",
            change.axis().as_str()
        );
    }
    text
}
