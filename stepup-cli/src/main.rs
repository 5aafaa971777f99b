//! The `stepup` command. Each subcommand has a file of its own; this one reads the command line and
//! turns the outcome into an exit code.
//!
//! Exit codes: 0 done; 1 what was examined is not in order: for `export` and `check` a contract with errors, all of
//! them on stderr and nothing on stdout; an issuer that cannot satisfy it, a lint, a change that weakens it, or a
//! token that is refused, with the findings on stdout; 2 bad usage, a file that cannot be read or is no contract,
//! an issuer that does not answer.

mod binary;
mod build;
mod check;
mod diff;
mod explain;
mod export;
mod failure;
mod gateway;
mod input;
mod issuer;
mod lines;
mod output;
mod render;
mod report;
mod settings;
mod waivers;
mod wording;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use output::tell;
use std::process::ExitCode;

/// Exports, examines and enforces step-up contracts.
#[derive(Debug, Parser)]
#[command(name = "stepup", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the contract of a compiled program as JSON, without running it.
    Export(export::Arguments),
    /// Examine a contract, and ask an issuer whether it can satisfy it.
    Check(check::Arguments),
    /// Compare two contracts: what is weakened, and what is tightened.
    Diff(diff::Arguments),
    /// Explain, step by step, whether a token is let in at an endpoint.
    Explain(explain::Arguments),
    /// Write a contract in another form: a page, a table, OpenAPI, or a gateway's configuration.
    Render(render::Arguments),
    /// Answer gateways that ask whether a request satisfies a contract: nginx, Caddy, Traefik, Envoy.
    Gateway(gateway::Arguments),
}

fn main() -> ExitCode {
    let command = Cli::command().mut_subcommand("gateway", issuer::from_the_environment);
    let read = Cli::from_arg_matches(&command.get_matches());
    let Cli { command } = read.unwrap_or_else(|why| why.exit());
    let contracts = matches!(command, Command::Export(_) | Command::Check(_));
    let outcome = match command {
        Command::Export(arguments) => export::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Diff(arguments) => diff::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Render(arguments) => render::run(&arguments),
        Command::Gateway(arguments) => gateway::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tell(&failure);
            ExitCode::from(failure.exit_code(contracts))
        }
    }
}
