//! `stepup check`: whether a document is a contract, its likely mistakes, and whether an issuer can satisfy it.

use crate::contract_file::input::{Source, inspect};
use crate::report::challenges::IssuerChallenge;
use crate::report::failure::{Failure, Located};
use crate::report::findings::{Format, Item, Level, Report};
use crate::report::output::{print, print_error};
use crate::report::position::Position;
use crate::report::waived::Waived;
use crate::settings::file::{Settings, SettingsFile};
use crate::settings::issuer::IssuerArguments;
use crate::settings::waivers::{ISSUER_RULE, Waiver};
use std::collections::HashMap;
use std::path::PathBuf;
use stepup_contract::{Contract, Finding, Lint, Rule, Severity, lints};
use stepup_runtime::{Capabilities, unenforceable};

/// Check a contract. With an issuer, also print what each endpoint's challenge requests.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The contract as JSON, or a compiled program; `-` reads JSON from standard input.
    #[arg(value_name = "CONTRACT")]
    contract: PathBuf,
    /// The output format.
    #[arg(long, value_name = "FORM", value_enum, default_value = "text")]
    output: Format,
    /// Also exit with 1 if there are warnings.
    #[arg(long, value_name = "LEVEL", value_parser = ["warnings"])]
    deny: Option<String>,
    /// Check whether every issuer of the settings can satisfy the contract. The one that --issuer names is
    /// always checked.
    #[arg(long)]
    ask_issuers: bool,
    #[command(flatten)]
    settings: SettingsFile,
    #[command(flatten)]
    issuer: IssuerArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = arguments.settings.load()?;
    if arguments.ask_issuers && settings.issuers.is_empty() {
        return Err(Failure::Usage(
            "--ask-issuers needs issuers in the settings; add [[issuers]]".into(),
        ));
    }
    let file = arguments.contract.display().to_string();
    let source = match inspect(&arguments.contract) {
        Ok(source) => source,
        // In the text format, errors go to standard error.
        Err(failure) if arguments.output == Format::Text => return Err(failure),
        Err(Failure::Contract { errors, .. }) => {
            let items = errors.iter().map(invalid).collect();
            let report = Report { file, items, challenges: Vec::new() };
            return finish(&report, arguments, None);
        }
        Err(failure) => return Err(failure),
    };
    let mut items = lint_items(&source, &settings);
    let mut challenges = Vec::new();
    for issuer in issuers(arguments, &settings) {
        let findings = check_issuer(issuer, &source.contract)?;
        items.extend(issuer_items(&findings, &source, &settings));
        let name = issuer.issuer.as_deref().unwrap_or_default();
        challenges.extend(IssuerChallenge::all(&source.contract, name, &issuer.profile()));
    }
    items.sort_by_key(|item| item.level);
    let report = Report { file, items, challenges };
    finish(&report, arguments, Some(source.contract.endpoints().len()))
}

/// Prints the report and the summary. `endpoints` is the number of endpoints of a valid contract.
fn finish(report: &Report, arguments: &Arguments, endpoints: Option<usize>) -> Result<(), Failure> {
    print(&report.to_text(arguments.output))?;
    let (errors, warnings) = (report.count(Level::Error), report.count(Level::Warning));
    let summary = format!(
        "{}, {}, {}",
        endpoints.map_or_else(|| "not a contract".into(), |number| counted(number, "endpoint")),
        counted(errors, "error"),
        counted(warnings, "warning")
    );
    if errors > 0 || (arguments.deny.is_some() && warnings > 0) {
        return Err(Failure::Findings(summary));
    }
    print_error(summary);
    Ok(())
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// An error that makes the document invalid. It cannot be waived.
fn invalid(Located { line, error }: &Located) -> Item {
    Item {
        rule: "contract".into(),
        description: "The document is not a contract".into(),
        level: Level::Error,
        route: None,
        message: error.to_string(),
        position: Position { pointer: error.pointer().map(str::to_owned), line: *line },
        file: None,
        waived: Waived::No,
    }
}

fn lint_items(source: &Source, settings: &Settings) -> Vec<Item> {
    let contract = &source.contract;
    let mut positions = source.positions();
    let routeless = source.routeless.iter().map(|handler| Lint::no_route(handler));
    let endpoints = contract.endpoints().iter().enumerate();
    // Whether the API's address for proofs and a session log are configured is not known here, so it is assumed.
    let unenforceable = endpoints.filter_map(|(index, endpoint)| {
        let reason = unenforceable(&endpoint.requirement, Capabilities::ALL)?;
        Some(Lint::unenforceable(index, reason))
    });
    let items = routeless
        .chain(unenforceable)
        .chain(lints(contract, settings.lints.longest_max_age))
        .map(|lint| {
            let endpoint = lint.endpoint.and_then(|index| contract.endpoints().get(index));
            let route = endpoint.map(|endpoint| contract.route(endpoint));
            Item {
                rule: lint.rule.to_string(),
                description: lint.rule.description().to_owned(),
                level: settings.lints.level(lint.rule),
                waived: Waiver::apply(&settings.waivers, lint.rule.as_str(), route.as_deref()),
                route,
                message: format!("{}; {}", lint.problem, lint.fix),
                position: match (lint.endpoint.zip(endpoint), lint.rule) {
                    (Some((index, endpoint)), _) => {
                        positions.within(index, lint.pointer_in(endpoint))
                    }
                    (None, Rule::UnlistedAllow) => positions.at("/unlisted"),
                    (None, _) => positions.at(""),
                },
                file: None,
            }
        });
    items.filter(|item| item.level != Level::Off).collect()
}

/// The findings about an issuer.
fn issuer_items(findings: &[Finding], source: &Source, settings: &Settings) -> Vec<Item> {
    let contract = &source.contract;
    let mut positions = source.positions();
    let endpoints = contract.endpoints().iter().enumerate();
    let indices: HashMap<String, usize> =
        endpoints.map(|(index, endpoint)| (contract.route(endpoint), index)).collect();
    let items = findings.iter().map(|finding| {
        let route = finding.endpoint.as_deref().unwrap_or_default();
        Item {
            rule: ISSUER_RULE.into(),
            description: "The issuer cannot satisfy the contract, or possibly cannot".into(),
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
            waived: Waiver::apply(&settings.waivers, ISSUER_RULE, finding.endpoint.as_deref()),
        }
    });
    items.collect()
}

/// The issuers to check.
fn issuers<'a>(
    arguments: &'a Arguments,
    settings: &'a Settings,
) -> impl Iterator<Item = &'a IssuerArguments> {
    let named = arguments.issuer.issuer.is_some().then_some(&arguments.issuer);
    let configured = settings.issuers.iter().filter(|_| arguments.ask_issuers);
    named.into_iter().chain(configured)
}

fn check_issuer(issuer: &IssuerArguments, contract: &Contract) -> Result<Vec<Finding>, Failure> {
    let issuer = issuer.to_check()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(issuer.check(contract)).map_err(Failure::other)
}
