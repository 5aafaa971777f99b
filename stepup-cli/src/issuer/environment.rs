//! An issuer out of the environment: each flag is there under its own name, `--clock-skew` as `STEPUP_CLOCK_SKEW`.

use clap::builder::BoolishValueParser;
use clap::{Arg, ArgAction, Command};
use std::env;

/// Lets every flag of this command that has no variable of its own come from the environment, with spaces between
/// several values. A flag that is there twice is taken from the command line.
pub(crate) fn from_the_environment(command: Command) -> Command {
    command.mut_args(|flag| {
        let name = flag
            .get_long()
            .map(|long| format!("STEPUP_{}", long.replace('-', "_").to_ascii_uppercase()));
        match name {
            // An empty variable is how one is unset where it cannot be taken away.
            Some(name) if flag.get_env().is_none() && !is_empty(&name) => of(flag, name),
            _ => flag,
        }
    })
}

fn is_empty(name: &str) -> bool {
    env::var_os(name).is_some_and(|value| value.is_empty())
}

fn of(flag: Arg, name: String) -> Arg {
    let said = env::var_os(&name).is_some();
    let flag = flag.env(name);
    match flag.get_action() {
        ArgAction::SetTrue => flag.value_parser(BoolishValueParser::new()),
        ArgAction::Append if said && flag.get_value_delimiter().is_none() => {
            flag.value_delimiter(' ')
        }
        _ => flag,
    }
}
