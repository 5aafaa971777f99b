//! The `stepup` command. Each subcommand has its own file in `commands`; this file reads the command line and turns the
//! outcome into an exit code.
//!
//! Exit codes: 0 success; 1 the examined contract or token is not in order: for `export` and `check` a contract with
//! errors (all of them on stderr and nothing on stdout), an issuer that cannot satisfy it, a lint, a change that
//! weakens it, or a refused token (with the findings on stdout); 2 wrong usage, a file that cannot be read or is not a
//! contract, an issuer that does not answer.

mod commands;

#[cfg(feature = "gateway")]
mod gateway;

mod render;

mod explain;

mod settings;

mod contract_file;

mod request;

mod report;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use commands::{check, diff, explain as explain_command, export, render as render_command};
use report::output::print_error;
use std::process::ExitCode;

/// Exports, checks and enforces step-up contracts.
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
    /// Check a contract, and whether an issuer can satisfy it.
    Check(check::Arguments),
    /// Compare two contracts: what is weakened, and what is tightened.
    Diff(diff::Arguments),
    /// Explain, step by step, whether a token is authorized at an endpoint.
    Explain(explain_command::Arguments),
    /// Write a contract in another form: a page, a table, OpenAPI, or a gateway's configuration.
    Render(render_command::Arguments),
    /// Answer gateways that ask whether a request satisfies a contract: nginx, Caddy, Traefik, Envoy.
    #[cfg(feature = "gateway")]
    Gateway(Box<commands::gateway::Arguments>),
}

fn main() -> ExitCode {
    let command = Cli::command();
    #[cfg(feature = "gateway")]
    let command = command.mut_subcommand("gateway", settings::environment::read_from_environment);
    let parsed = Cli::from_arg_matches(&command.get_matches());
    let Cli { command } = match parsed {
        Ok(parsed) => parsed,
        // A message may quote an argument. Help and the version go to standard output.
        Err(error) if error.use_stderr() => {
            print_error(error.render());
            return ExitCode::from(2);
        }
        Err(error) => error.exit(),
    };
    let examines_contract = matches!(command, Command::Export(_) | Command::Check(_));
    let outcome = match command {
        Command::Export(arguments) => export::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Diff(arguments) => diff::run(&arguments),
        Command::Explain(arguments) => explain_command::run(&arguments),
        Command::Render(arguments) => render_command::run(&arguments),
        #[cfg(feature = "gateway")]
        Command::Gateway(arguments) => commands::gateway::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let message = failure.to_string();
            if !message.is_empty() {
                print_error(message);
            }
            ExitCode::from(failure.exit_code(examines_contract))
        }
    }
}
