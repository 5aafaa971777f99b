//! `stepup check`: whether a contract is one, what in it looks like a mistake, and whether an issuer can satisfy
//! it.

use crate::failure::{Failure, Located};
use crate::input::{Position, Source, examined};
use crate::issuer::IssuerArguments;
use crate::output::{print, tell};
use crate::report::{Form, Item, Level, Report};
use crate::settings::{self, Settings};
use crate::waivers::Waived;
use std::collections::HashMap;
use std::path::PathBuf;
use stepup_contract::{Contract, Finding, Lint, Rule, Severity, fingerprint, lints};
use stepup_runtime::unenforceable;

/// Examine a contract.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The contract as JSON, or a compiled program; `-` reads JSON from standard input.
    #[arg(value_name = "CONTRACT")]
    contract: PathBuf,
    /// How to write what is found.
    #[arg(long, value_name = "FORM", value_enum, default_value = "text")]
    output: Form,
    /// Also exit with 1 when there are warnings.
    #[arg(long, value_name = "LEVEL", value_parser = ["warnings"])]
    deny: Option<String>,
    /// Ask every issuer of the settings whether it can satisfy the contract. The one that --issuer names is
    /// asked without this.
    #[arg(long)]
    ask_issuers: bool,
    #[command(flatten)]
    settings: settings::From,
    #[command(flatten)]
    issuer: IssuerArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = arguments.settings.near()?;
    if arguments.ask_issuers && settings.issuers.is_empty() {
        return Err(Failure::Usage(
            "--ask-issuers, and the settings name none; add [[issuers]]".into(),
        ));
    }
    let file = arguments.contract.display().to_string();
    let source = match examined(&arguments.contract) {
        Ok(source) => source,
        // People read errors where all errors are.
        Err(failure) if arguments.output == Form::Text => return Err(failure),
        Err(Failure::Contract { errors, .. }) => {
            let items = errors.iter().map(wrong).collect();
            return told(&Report { file, items }, arguments, None);
        }
        Err(failure) => return Err(failure),
    };
    let mut items = linted(&source, &settings);
    for issuer in asked(arguments, &settings) {
        let found = ask_issuer(issuer, &source.contract)?;
        let name = issuer.issuer.as_deref().unwrap_or_default();
        items.extend(unsatisfied(name, &found, &source, &settings));
    }
    items.sort_by_key(|item| item.level);
    told(&Report { file, items }, arguments, Some(source.contract.endpoints().len()))
}

/// `endpoints` is how many there are, of a contract.
fn told(report: &Report, arguments: &Arguments, endpoints: Option<usize>) -> Result<(), Failure> {
    print(&report.written(arguments.output))?;
    let (errors, warnings) = (report.count(Level::Error), report.count(Level::Warning));
    let summary = format!(
        "{}, {}, {}",
        endpoints.map_or_else(|| "no contract".into(), |number| counted(number, "endpoint")),
        counted(errors, "error"),
        counted(warnings, "warning")
    );
    if errors > 0 || (arguments.deny.is_some() && warnings > 0) {
        return Err(Failure::Found(summary));
    }
    tell(summary);
    Ok(())
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// What keeps the document from being a contract. It cannot be waived.
fn wrong(Located { line, error }: &Located) -> Item {
    Item {
        rule: "contract".into(),
        describes: "The document is not a contract".into(),
        level: Level::Error,
        route: None,
        message: error.to_string(),
        position: Position { pointer: error.pointer().map(str::to_owned), line: *line },
        file: None,
        fingerprint: String::new(),
        waived: Waived::No,
    }
}

fn linted(source: &Source, settings: &Settings) -> Vec<Item> {
    let contract = &source.contract;
    let mut positions = source.positions();
    let routeless = source.routeless.iter().map(|handler| Lint::no_route(handler));
    let endpoints = contract.endpoints().iter().enumerate();
    // What needs an address for proofs is not known here.
    let unenforceable = endpoints.filter_map(|(index, endpoint)| {
        let why = unenforceable(&endpoint.requirement, true)?;
        Some(Lint::unenforceable(index, why))
    });
    let found = routeless
        .chain(unenforceable)
        .chain(lints(contract, settings.lints.longest_max_age))
        .map(|lint| {
            let fingerprint = lint.fingerprint(contract);
            let endpoint = lint.endpoint.and_then(|index| contract.endpoints().get(index));
            Item {
                rule: lint.rule.to_string(),
                describes: lint.rule.describes().to_owned(),
                level: settings.lints.level(lint.rule),
                route: endpoint.map(|endpoint| contract.route(endpoint)),
                message: format!("{}; {}", lint.problem, lint.fix),
                position: match (lint.endpoint.zip(endpoint), lint.rule) {
                    (Some((index, endpoint)), _) => positions.within(index, lint.within(endpoint)),
                    (None, Rule::UnlistedAllow) => positions.at("/unlisted"),
                    (None, _) => positions.at(""),
                },
                file: None,
                waived: Waived::by(&settings.waivers, &fingerprint),
                fingerprint,
            }
        });
    found.filter(|item| item.level != Level::Off).collect()
}

/// What an issuer cannot bring.
fn unsatisfied(issuer: &str, found: &[Finding], source: &Source, settings: &Settings) -> Vec<Item> {
    let contract = &source.contract;
    let mut positions = source.positions();
    let endpoints = contract.endpoints().iter().enumerate();
    let indices: HashMap<String, usize> =
        endpoints.map(|(index, endpoint)| (contract.route(endpoint), index)).collect();
    let items = found.iter().map(|finding| {
        let route = finding.endpoint.as_deref().unwrap_or_default();
        let endpoint = indices.get(route).and_then(|index| contract.endpoints().get(*index));
        let place = endpoint.map(|endpoint| contract.nameless_route(endpoint)).unwrap_or_default();
        let fingerprint = fingerprint(&format!("issuer {issuer}\n{place}\n{}", finding.problem));
        Item {
            rule: "issuer".into(),
            describes: "The issuer cannot satisfy the contract, or may not".into(),
            level: match finding.severity {
                Severity::Error => Level::Error,
                Severity::Warning => Level::Warning,
            },
            route: finding.endpoint.clone(),
            message: format!("{}; {}", finding.problem, finding.fix),
            position: match indices.get(route) {
                Some(index) => positions.endpoint(*index),
                None => positions.at(""),
            },
            file: None,
            waived: Waived::by(&settings.waivers, &fingerprint),
            fingerprint,
        }
    });
    items.collect()
}

fn asked<'a>(
    arguments: &'a Arguments,
    settings: &'a Settings,
) -> impl Iterator<Item = &'a IssuerArguments> {
    let named = arguments.issuer.issuer.is_some().then_some(&arguments.issuer);
    let known = settings.issuers.iter().filter(|_| arguments.ask_issuers);
    named.into_iter().chain(known)
}

fn ask_issuer(issuer: &IssuerArguments, contract: &Contract) -> Result<Vec<Finding>, Failure> {
    let issuer = issuer.to_examine()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(issuer.check(contract))?)
}
