//! `stepup render`: a contract in other forms. Each form has a file of its own. Those that are looked at show what
//! they understand of a contract; those that gateways are configured with need all of it.

mod gateways;
mod html;
mod markdown;
mod openapi;
mod place;

use crate::failure::Failure;
use crate::input::{contract, view};
use crate::output::print;
use crate::report::pretty;

/// Write a contract in another form.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    form: Form,
}

#[derive(Debug, clap::Subcommand)]
enum Form {
    /// One page to look at, which needs nothing beside it.
    Html(html::Arguments),
    /// A table, for a repository.
    Markdown(markdown::Arguments),
    /// OpenAPI 3.1: a new document, or what the contract says put into one that is there.
    Openapi(openapi::Arguments),
    /// The JSON Schema of contracts, for editors and for other languages.
    Schema,
    /// nginx in front of an upstream, which asks `stepup gateway` about every request.
    Nginx(gateways::Arguments),
    /// Envoy in front of an upstream, which asks `stepup gateway` about every request.
    Envoy(gateways::EnvoyArguments),
    /// Caddy in front of an upstream, which asks `stepup gateway` about every request.
    Caddy(gateways::Arguments),
    /// Traefik in front of an upstream, which asks `stepup gateway` about every request.
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
    Ok(print(&text)?)
}
