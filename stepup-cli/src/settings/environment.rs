//! Flags from the environment: `--clock-skew` is `STEPUP_CLOCK_SKEW`.

use clap::builder::BoolishValueParser;
use clap::{Arg, ArgAction, Command};
use std::env;

/// Reads every flag of this command that has no variable of its own from the environment too, with several values
/// separated by spaces. The command line precedes the environment.
pub(crate) fn read_from_environment(command: Command) -> Command {
    command.mut_args(|flag| {
        let name = flag
            .get_long()
            .map(|long| format!("STEPUP_{}", long.replace('-', "_").to_ascii_uppercase()));
        match name {
            // An empty variable counts as unset.
            Some(name) if flag.get_env().is_none() && !is_empty(&name) => with_env(flag, name),
            _ => flag,
        }
    })
}

fn is_empty(name: &str) -> bool {
    env::var_os(name).is_some_and(|value| value.is_empty())
}

fn with_env(flag: Arg, name: String) -> Arg {
    let is_set = env::var_os(&name).is_some();
    let flag = flag.env(name);
    match flag.get_action() {
        ArgAction::SetTrue => flag.value_parser(BoolishValueParser::new()),
        ArgAction::Append if is_set && flag.get_value_delimiter().is_none() => {
            flag.value_delimiter(' ')
        }
        _ => flag,
    }
}
