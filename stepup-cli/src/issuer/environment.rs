//! An issuer out of the environment: what its flags say, by the same parser.

use super::IssuerArguments;
use crate::failure::Failure;
use clap::{ArgAction, Args, Command, FromArgMatches};
use std::env;

impl IssuerArguments {
    /// These, or the issuer of the environment where they name none: each flag is there under its own name,
    /// `--clock-skew` as `STEPUP_CLOCK_SKEW`, with spaces between several values.
    pub(crate) fn or_of_the_environment(self) -> Result<Self, Failure> {
        match self.issuer {
            Some(_) => Ok(self),
            None => Self::of_variables(|name| env::var(name).ok()),
        }
    }

    /// The issuer of these variables; nothing unless `STEPUP_ISSUER` names one.
    fn of_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        if variable("STEPUP_ISSUER").is_none() {
            return Ok(Self::default());
        }
        let command = Self::augment_args(Command::new("stepup").no_binary_name(true));
        let mut flags = Vec::new();
        for flag in command.get_arguments().filter_map(|argument| {
            let long = argument.get_long()?;
            let name = format!("STEPUP_{}", long.replace('-', "_").to_ascii_uppercase());
            Some((long, argument.get_action(), variable(&name)?))
        }) {
            match flag {
                (long, ArgAction::SetTrue, value) => {
                    let value = value.trim().to_ascii_lowercase();
                    match value.as_str() {
                        "1" | "t" | "true" | "y" | "yes" | "on" => flags.push(format!("--{long}")),
                        "0" | "f" | "false" | "n" | "no" | "off" => {}
                        _ => {
                            return Err(Failure::Usage(format!(
                                "of the environment: --{long} is true or false, not {value:?}"
                            )));
                        }
                    }
                }
                (long, ArgAction::Append, values) => {
                    flags.extend(values.split_whitespace().map(|one| format!("--{long}={one}")));
                }
                (long, _, value) => flags.push(format!("--{long}={value}")),
            }
        }
        let read = command.try_get_matches_from(flags);
        read.and_then(|read| Self::from_arg_matches(&read)).map_err(|why| {
            let why = why.to_string();
            let why = why.trim_start_matches("error: ").lines().next().unwrap_or_default();
            Failure::Usage(format!("of the environment (STEPUP_ISSUER and so on): {why}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepup_runtime::Provider;

    fn of(variables: &[(&str, &str)]) -> Result<IssuerArguments, String> {
        let variable = |name: &str| {
            let known = variables.iter().find(|(known, _)| *known == name);
            known.map(|(_, value)| (*value).to_owned())
        };
        IssuerArguments::of_variables(variable).map_err(|why| why.to_string())
    }

    #[test]
    fn every_flag_can_come_from_the_environment() {
        let issuer = of(&[
            ("STEPUP_ISSUER", "https://login.example"),
            ("STEPUP_AUDIENCE", "https://a.example b"),
            ("STEPUP_PROVIDER", "okta"),
            ("STEPUP_CLOCK_SKEW", "7"),
            ("STEPUP_ASK", "mfa=urn:a,urn:b otp=urn:c"),
            ("STEPUP_ACR_ORDER", "low,high"),
            ("STEPUP_INFER_MFA", "true"),
            ("STEPUP_LAZY", "False"),
        ])
        .unwrap();
        assert_eq!(issuer.issuer.as_deref(), Some("https://login.example"));
        assert_eq!(issuer.audience, ["https://a.example", "b"]);
        assert_eq!((issuer.provider, issuer.clock_skew), (Some(Provider::Okta), Some(7)));
        let asked: Vec<usize> = issuer.ask.iter().map(|(_, values)| values.len()).collect();
        assert_eq!((asked, issuer.acr_order.len()), (vec![2, 1], 2));
        assert!(issuer.infer_mfa && !issuer.lazy);
    }

    #[test]
    fn what_cannot_be_read_in_the_environment_is_told() {
        let name = ("STEPUP_ISSUER", "https://login.example");
        for (variable, said) in [
            (("STEPUP_CLOCK_SKEW", "soon"), "'soon' for '--clock-skew"),
            (("STEPUP_PROVIDER", "octa"), "'octa' for '--provider"),
            (("STEPUP_INFER_MFA", "maybe"), "--infer-mfa is true or false, not \"maybe\""),
        ] {
            let why = of(&[name, variable]).unwrap_err();
            assert!(why.contains(said) && why.contains("environment"), "{why}");
        }
        assert_eq!(of(&[("STEPUP_AUDIENCE", "a")]).unwrap().issuer, None);
    }
}
