//! `stepup diff`: the changes between two contracts, and whether they are acceptable.

use crate::contract_file::input::{Positions, Source, source};
use crate::report::display::{cell, code, visible};
use crate::report::failure::Failure;
use crate::report::findings::{Format, Item, Level, Report, pretty};
use crate::report::output::{print, print_error};
use crate::report::position::Position;
use crate::report::waived::Waived;
use crate::settings::accepted_changes::{ChangeName, accepted};
use crate::settings::file::{self, SettingsFile};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use stepup_contract::{Axis, Change, Contract, Endpoint, Field, HttpMethod, Kind, compare};

/// Compare two contracts.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The contract before: JSON, or a compiled program.
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The contract after: JSON, or a compiled program.
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Also exit with 1 if something is tightened: existing clients must satisfy more.
    #[arg(long, value_name = "AXIS", value_parser = ["tightened"])]
    deny: Option<String>,
    /// Accept a change by its route, such as "POST /pay", or by its kind and route, such as "gone POST /pay".
    /// The change is still printed. May be repeated.
    #[arg(long, value_name = "CHANGE")]
    accept: Vec<ChangeName>,
    /// Read the settings from this file and no other, whatever --config says. Use the file of the target branch, so that
    /// a change cannot accept itself.
    #[arg(long, value_name = "FILE")]
    settings_from: Option<PathBuf>,
    /// The output format.
    #[arg(long, value_name = "FORM", value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    settings: SettingsFile,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// A line for each change and one for each field.
    Text,
    /// One document, for programs.
    Json,
    /// A table, for a comment on a pull request.
    Markdown,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Annotations of a workflow run on GitHub.
    Github,
}

/// A change, its place, and whether it is accepted.
struct LocatedChange {
    change: Change,
    /// The old contract's file, if the new contract no longer has the endpoint.
    file: Option<String>,
    position: Position,
    accepted: Waived,
}

/// The places of changes in the two contracts.
struct Places<'a> {
    old: Side<'a>,
    new: Side<'a>,
}

/// The places of one contract's endpoints, by method and whole path, which are unique.
struct Side<'a> {
    positions: Positions<'a>,
    indices: HashMap<(Option<HttpMethod>, String), usize>,
}

impl<'a> Side<'a> {
    fn of(source: &'a Source) -> Self {
        let whole = |endpoint| source.contract.whole_path(endpoint).into_owned();
        let endpoints = source.contract.endpoints().iter().enumerate();
        let indices = endpoints.map(|(index, one)| ((one.method, whole(one)), index)).collect();
        Self { positions: source.positions(), indices }
    }

    fn position(&mut self, endpoint: &Endpoint, pointer: &str) -> Option<Position> {
        let index = self.indices.get(&(endpoint.method, endpoint.path.clone()))?;
        Some(self.positions.within(*index, pointer))
    }
}

impl Places<'_> {
    /// The place of a change, and whether it is in the old contract.
    fn of(&mut self, change: &Change) -> (Position, bool) {
        let first = change.weakened.first().or(change.tightened.first());
        let pointer = first.map(|field| format!("/security/{}", field.key())).unwrap_or_default();
        match (change.kind, &change.new, &change.old) {
            (Kind::UnlistedOpened | Kind::UnlistedClosed, ..) => {
                (self.new.positions.at("/unlisted"), false)
            }
            (_, Some(new), _) => (self.new.position(new, &pointer).unwrap_or_default(), false),
            (_, None, Some(old)) => (self.old.position(old, "").unwrap_or_default(), true),
            (_, None, None) => (Position::default(), false),
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = match &arguments.settings_from {
        Some(path) => file::read(path)?,
        None => arguments.settings.load()?,
    };
    if [&arguments.old, &arguments.new].iter().all(|path| path.as_os_str() == "-") {
        return Err(Failure::Usage(
            "only one of the two contracts can be on standard input".into(),
        ));
    }
    let (old, new) = (source(&arguments.old)?, source(&arguments.new)?);
    let mut places = Places { old: Side::of(&old), new: Side::of(&new) };
    let changes: Vec<LocatedChange> = compare(&old.contract, &new.contract)
        .map_err(Failure::other)?
        .into_iter()
        .map(|change| {
            let (position, in_old) = places.of(&change);
            LocatedChange {
                accepted: accepted(&change, &arguments.accept, &settings.accept),
                file: in_old.then(|| arguments.old.display().to_string()),
                position,
                change,
            }
        })
        .collect();
    let text = match arguments.output {
        Output::Text => text(&changes),
        Output::Json => json(&old.contract, &new.contract, &changes),
        Output::Markdown => markdown(&changes),
        Output::Sarif => report(arguments, &changes).to_text(Format::Sarif),
        Output::Github => report(arguments, &changes).to_text(Format::Github),
    };
    print(&text)?;
    let count = |axis| {
        let counts = |one: &&LocatedChange| one.change.axis() == axis && !one.accepted.applies();
        changes.iter().filter(counts).count()
    };
    let (weakened, tightened) = (count(Axis::Weakened), count(Axis::Tightened));
    let mut summary =
        format!("{weakened} weakened, {tightened} tightened, {} neutral", count(Axis::Neutral));
    let accepted = changes.iter().filter(|one| one.accepted.applies()).count();
    if accepted > 0 {
        summary.push_str(&format!(", {accepted} accepted"));
    }
    if weakened > 0 || (arguments.deny.is_some() && tightened > 0) {
        return Err(Failure::Findings(summary));
    }
    print_error(summary);
    Ok(())
}

fn text(changes: &[LocatedChange]) -> String {
    let mut text = String::new();
    for LocatedChange { change, accepted, .. } in changes {
        let (axis, route) = (change.axis().as_str(), visible(&change.subject()));
        let _ = writeln!(text, "{axis}: {route} ({})", change.kind.as_str());
        for sentence in change.sentences() {
            let _ = writeln!(text, "  {}", visible(&sentence));
        }
        if let Some(sentence) = acceptance(change, accepted) {
            let _ = writeln!(text, "  {}", visible(&sentence));
        }
    }
    text
}

/// Whether a change is accepted, in one sentence. If its name does not follow from its heading, the name.
fn acceptance(change: &Change, accepted: &Waived) -> Option<String> {
    match accepted {
        Waived::No if change.axis() == Axis::Weakened && change.previous_route().is_some() => {
            Some(format!("its name for --accept: {}", ChangeName::of(change)))
        }
        Waived::No => None,
        Waived::Yes(reason) => Some(format!("accepted: {reason}")),
        Waived::Expired(day) => Some(format!("the exception expired on {day}")),
    }
}

fn json(old: &Contract, new: &Contract, changes: &[LocatedChange]) -> String {
    let keys = |fields: &[Field]| fields.iter().map(|field| field.key()).collect::<Vec<_>>();
    let changes: Vec<Value> = changes
        .iter()
        .map(|LocatedChange { change, accepted, file, position }| {
            let (accepted, expired) = accepted.reason_and_last_day();
            json!({
                "axis": change.axis().as_str(),
                "kind": change.kind.as_str(),
                "route": change.route(),
                "weakened": keys(&change.weakened),
                "tightened": keys(&change.tightened),
                "requests": change.requests,
                "in": if file.is_some() { "old" } else { "new" },
                "pointer": position.pointer,
                "line": position.line,
                "old": change.old,
                "new": change.new,
                "accepted": accepted,
                "acceptance-expired": expired,
            })
        })
        .collect();
    pretty(&json!({
        "old": {"service": old.service(), "version": old.version(), "digest": old.digest()},
        "new": {"service": new.service(), "version": new.version(), "digest": new.digest()},
        "changes": changes,
    }))
}

fn markdown(changes: &[LocatedChange]) -> String {
    if changes.is_empty() {
        return "The step-up contract has not changed.\n".into();
    }
    let mut text = String::from("| | requests | kind | change |\n|---|---|---|---|\n");
    for LocatedChange { change, accepted, .. } in changes {
        let mut sentences = change.sentences();
        sentences.extend(acceptance(change, accepted));
        let sentences: Vec<String> = sentences.iter().map(|sentence| cell(sentence)).collect();
        let sentences = sentences.join("<br>");
        let (axis, route) = (change.axis().as_str(), code(&change.subject()));
        let counts = axis == "weakened" && !accepted.applies();
        let axis = if counts { "**weakened**" } else { axis };
        let _ = writeln!(text, "| {axis} | {route} | {} | {sentences} |", change.kind.as_str());
    }
    text
}

/// The changes as findings in the contracts.
fn report(arguments: &Arguments, changes: &[LocatedChange]) -> Report {
    let items = changes.iter().map(|LocatedChange { change, file, position, accepted }| Item {
        rule: change.axis().as_str().to_owned(),
        description: match change.axis() {
            Axis::Weakened => "The new contract authorizes a caller whom the old one refuses",
            Axis::Tightened => "The new contract refuses a caller whom the old one authorizes",
            Axis::Neutral => {
                "The contract has changed, and authorizes no caller whom it refused before"
            }
        }
        .to_owned(),
        level: match change.axis() {
            Axis::Weakened => Level::Error,
            Axis::Tightened => Level::Warning,
            Axis::Neutral => Level::Note,
        },
        route: Some(change.subject()),
        message: change.sentences().join("; "),
        position: position.clone(),
        file: file.clone(),
        waived: accepted.clone(),
    });
    Report {
        file: arguments.new.display().to_string(),
        items: items.collect(),
        challenges: Vec::new(),
    }
}
