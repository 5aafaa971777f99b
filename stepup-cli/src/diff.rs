//! `stepup diff`: what changed between two contracts, and whether it may.

use crate::failure::Failure;
use crate::input::{Position, Positions, Source, source};
use crate::output::{print, tell};
use crate::report::{Form, Item, Level, Report, pretty};
use crate::settings;
use crate::waivers::Waived;
use crate::wording::{cell, code, visible};
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
    /// Also exit with 1 when something is tightened: existing clients will be asked for more.
    #[arg(long, value_name = "AXIS", value_parser = ["tightened"])]
    deny: Option<String>,
    /// How to write what is found.
    #[arg(long, value_name = "FORM", value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    settings: settings::From,
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

/// A change, where it stands, and whether it may stay.
struct Found {
    change: Change,
    /// The file, where it is not the new contract's: of what that does not have any more.
    file: Option<String>,
    position: Position,
    waived: Waived,
}

/// Where changes stand in the two contracts.
struct Places<'a> {
    old: Side<'a>,
    new: Side<'a>,
}

/// Where the endpoints of one contract stand in its text, by method and whole path: each stands once.
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
    /// Where it stands, and whether that is in the old contract.
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
    let settings = arguments.settings.near()?;
    if [&arguments.old, &arguments.new].iter().all(|path| path.as_os_str() == "-") {
        return Err(Failure::Usage(
            "only one of the two contracts can be on standard input".into(),
        ));
    }
    let (old, new) = (source(&arguments.old)?, source(&arguments.new)?);
    let mut places = Places { old: Side::of(&old), new: Side::of(&new) };
    let changes: Vec<Found> = compare(&old.contract, &new.contract)?
        .into_iter()
        .map(|change| {
            let (position, in_old) = places.of(&change);
            Found {
                waived: Waived::by(&settings.waivers, &change.fingerprint()),
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
        Output::Sarif => report(arguments, &changes).written(Form::Sarif),
        Output::Github => report(arguments, &changes).written(Form::Github),
    };
    print(&text)?;
    let count = |axis| {
        let stands = |found: &&Found| found.change.axis() == axis && !found.waived.is_waived();
        changes.iter().filter(stands).count()
    };
    let (weakened, tightened) = (count(Axis::Weakened), count(Axis::Tightened));
    let mut summary =
        format!("{weakened} weakened, {tightened} tightened, {} neutral", count(Axis::Neutral));
    let waived = changes.iter().filter(|found| found.waived.is_waived()).count();
    if waived > 0 {
        summary.push_str(&format!(", {waived} waived"));
    }
    if weakened > 0 || (arguments.deny.is_some() && tightened > 0) {
        return Err(Failure::Found(summary));
    }
    tell(summary);
    Ok(())
}

fn text(changes: &[Found]) -> String {
    let mut text = String::new();
    for Found { change, waived, .. } in changes {
        let (axis, route, fingerprint) =
            (change.axis().as_str(), visible(&change.subject()), change.fingerprint());
        let _ = writeln!(text, "{axis}: {route} [{fingerprint}]");
        for sentence in change.sentences() {
            let _ = writeln!(text, "  {}", visible(&sentence));
        }
        match waived {
            Waived::No => {}
            Waived::Yes(reason) => {
                let _ = writeln!(text, "  waived: {}", visible(reason));
            }
            Waived::Expired(day) => {
                let _ = writeln!(text, "  its waiver ended on {day}");
            }
        }
    }
    text
}

fn json(old: &Contract, new: &Contract, changes: &[Found]) -> String {
    let keys = |fields: &[Field]| fields.iter().map(|field| field.key()).collect::<Vec<_>>();
    let changes: Vec<Value> = changes
        .iter()
        .map(|Found { change, waived, file, position }| {
            let (waived, expired) = waived.told();
            json!({
                "axis": change.axis().as_str(),
                "kind": change.kind.as_str(),
                "route": change.route(),
                "weakened": keys(&change.weakened),
                "tightened": keys(&change.tightened),
                "requests": change.requests,
                "twins": change.twins.iter().map(|twin| json!({
                    "route": twin.route, "weakened": keys(&twin.weakened),
                })).collect::<Vec<_>>(),
                "in": if file.is_some() { "old" } else { "new" },
                "pointer": position.pointer,
                "line": position.line,
                "old": change.old,
                "new": change.new,
                "fingerprint": change.fingerprint(),
                "waived": waived,
                "waiver-expired": expired,
            })
        })
        .collect();
    pretty(&json!({
        "old": {"service": old.service(), "version": old.version(), "digest": old.digest()},
        "new": {"service": new.service(), "version": new.version(), "digest": new.digest()},
        "changes": changes,
    }))
}

fn markdown(changes: &[Found]) -> String {
    if changes.is_empty() {
        return "The step-up contract has not changed.\n".into();
    }
    let mut text = String::from("| | requests | change | fingerprint |\n|---|---|---|---|\n");
    for Found { change, waived, .. } in changes {
        let mut said = change.sentences();
        match waived {
            Waived::No => {}
            Waived::Yes(reason) => said.push(format!("waived: {reason}")),
            Waived::Expired(day) => said.push(format!("its waiver ended on {day}")),
        }
        let said: Vec<String> = said.iter().map(|said| cell(said)).collect();
        let said = said.join("<br>");
        let (axis, route) = (change.axis().as_str(), code(&change.subject()));
        let stands = axis == "weakened" && !waived.is_waived();
        let axis = if stands { "**weakened**" } else { axis };
        let _ = writeln!(text, "| {axis} | {route} | {said} | `{}` |", change.fingerprint());
    }
    text
}

/// The changes as findings in the contracts.
fn report(arguments: &Arguments, changes: &[Found]) -> Report {
    let items = changes.iter().map(|Found { change, file, position, waived }| Item {
        rule: change.axis().as_str().to_owned(),
        describes: match change.axis() {
            Axis::Weakened => "The new contract lets somebody in whom the old one refuses",
            Axis::Tightened => "The new contract refuses somebody whom the old one lets in",
            Axis::Neutral => {
                "The contract has changed, and at no endpoint lets in whom it refused there"
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
        fingerprint: change.fingerprint(),
        waived: waived.clone(),
    });
    Report { file: arguments.new.display().to_string(), items: items.collect() }
}
