//! `stepup render`: a contract in another form. Forms for people display a contract with unknown fields; gateways'
//! configurations need a contract without them.

use crate::contract_file::input::{contract, view};
use crate::render::{gateways, html, markdown, openapi};
use crate::report::failure::Failure;
use crate::report::findings::pretty;
use crate::report::output::print;
use std::fs;
use std::path::PathBuf;

/// Write a contract in another form.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    form: Form,
    /// Write to this file instead of standard output.
    #[arg(long = "output", short, value_name = "FILE", global = true)]
    output: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Form {
    /// One self-contained page.
    Html(html::Arguments),
    /// A table, for a repository.
    Markdown(markdown::Arguments),
    /// OpenAPI 3.1: a new document, or the contract's requirements added to an existing one.
    Openapi(openapi::Arguments),
    /// The JSON Schema of contracts, for editors and for other languages.
    Schema,
    /// nginx with `stepup gateway` as its authorization service.
    Nginx(gateways::Arguments),
    /// Envoy with `stepup gateway` as its authorization service.
    Envoy(gateways::EnvoyArguments),
    /// Caddy with `stepup gateway` as its authorization service.
    Caddy(gateways::Arguments),
    /// Traefik with `stepup gateway` as its authorization service.
    Traefik(gateways::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let text = match &arguments.form {
        Form::Html(arguments) => html::html(arguments)?,
        Form::Markdown(arguments) => markdown::markdown(&view(&arguments.contract)?),
        Form::Openapi(arguments) => openapi::openapi(arguments)?,
        Form::Schema => pretty(&stepup_contract::schema()),
        Form::Nginx(arguments) => gateways::nginx(&contract(&arguments.contract)?, arguments)?,
        Form::Envoy(envoy) => gateways::envoy(&contract(&envoy.arguments.contract)?, envoy)?,
        Form::Caddy(arguments) => gateways::caddy(&contract(&arguments.contract)?, arguments)?,
        Form::Traefik(arguments) => gateways::traefik(&contract(&arguments.contract)?, arguments)?,
    };
    match &arguments.output {
        None => Ok(print(&text)?),
        Some(path) => fs::write(path, text)
            .map_err(|error| Failure::Usage(format!("{}: {error}", path.display()))),
    }
}
