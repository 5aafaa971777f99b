//! `stepup check`: whether a contract is one, and whether an issuer can satisfy it.

use crate::failure::Failure;
use crate::input::contract;
use std::io::{self, Write};
use std::path::PathBuf;
use stepup_contract::{Contract, Finding, Method, Profile, Severity};
use stepup_runtime::{Issuer, Provider};

/// Examine a contract.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The contract as JSON, or a compiled program; `-` reads JSON from standard input.
    #[arg(value_name = "CONTRACT")]
    contract: PathBuf,
    /// Ask this issuer whether it can satisfy the contract: its exact name, the `iss` of its tokens.
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    #[command(flatten)]
    vocabulary: Vocabulary,
}

/// What the program says of its issuer.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What the program says of its issuer")]
struct Vocabulary {
    /// Whose vocabulary the issuer speaks: standard, auth0, okta, entra, keycloak, cognito, pingone.
    #[arg(long, value_name = "NAME", default_value = "standard", requires = "issuer")]
    provider: Provider,
    /// The audience that names the API; under it Auth0's claims stand.
    #[arg(long, value_name = "AUDIENCE", requires = "issuer")]
    audience: Option<String>,
    /// Under what the claims stand instead: Issuer::namespace.
    #[arg(long, value_name = "URL", requires = "issuer")]
    namespace: Option<String>,
    /// The acr values that ask for a method: Issuer::ask, as in mfa=urn:a,urn:b.
    #[arg(long, value_name = "METHOD=ACR,…", value_parser = ask, requires = "issuer")]
    ask: Vec<(Method, Vec<String>)>,
    /// The methods that an acr proves: Issuer::proves, as in urn:a=mfa,otp.
    #[arg(long, value_name = "ACR=METHOD,…", value_parser = proves, requires = "issuer")]
    proves: Vec<(String, Vec<Method>)>,
    /// The acr values that are levels, the weakest first: Profile::acr_order.
    #[arg(long, value_name = "ACR,…", value_delimiter = ',', requires = "issuer")]
    acr_order: Vec<String>,
    /// The claim that states the methods: Profile::amr_claim.
    #[arg(long, value_name = "CLAIM", requires = "issuer")]
    amr_claim: Option<String>,
    /// The claim that states the level: Profile::acr_claim.
    #[arg(long, value_name = "CLAIM", requires = "issuer")]
    acr_claim: Option<String>,
    /// The claim that states the time of the login: Profile::auth_time_claim.
    #[arg(long, value_name = "CLAIM", requires = "issuer")]
    auth_time_claim: Option<String>,
    /// Two methods of different factor kinds are mfa: Issuer::infer_mfa.
    #[arg(long, requires = "issuer")]
    infer_mfa: bool,
}

fn ask(text: &str) -> Result<(Method, Vec<String>), String> {
    let (method, values) = text.split_once('=').ok_or("write it as METHOD=ACR,…")?;
    let method = method.parse::<Method>().map_err(|error| error.to_string())?;
    Ok((method, values.split(',').map(str::to_owned).collect()))
}

fn proves(text: &str) -> Result<(String, Vec<Method>), String> {
    // An acr may hold an equals sign, a method does not.
    let (acr, methods) = text.rsplit_once('=').ok_or("write it as ACR=METHOD,…")?;
    let methods = methods.split(',').map(|name| name.parse::<Method>());
    let methods: Result<Vec<_>, _> = methods.collect();
    Ok((acr.to_owned(), methods.map_err(|error| error.to_string())?))
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let contract = contract(&arguments.contract)?;
    let findings = match &arguments.issuer {
        Some(issuer) => ask_issuer(issuer, &arguments.vocabulary, &contract)?,
        None => Vec::new(),
    };
    let mut out = io::stdout().lock();
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    let count = |severity| findings.iter().filter(|found| found.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let summary = format!(
        "{}, {}, {}",
        counted(contract.endpoints().len(), "endpoint"),
        counted(errors, "error"),
        counted(warnings, "warning")
    );
    if errors > 0 {
        return Err(Failure::Found(summary));
    }
    eprintln!("{summary}");
    Ok(())
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

impl Vocabulary {
    /// The provider's profile with what is said beside it.
    fn adjust(&self, profile: Profile) -> Profile {
        let mut profile = profile.infer_mfa(self.infer_mfa);
        if let Some(namespace) = &self.namespace {
            profile = profile.namespace(namespace);
        }
        if !self.acr_order.is_empty() {
            profile = profile.acr_order(self.acr_order.iter());
        }
        if let Some(claim) = &self.amr_claim {
            profile = profile.amr_claim(claim.as_str());
        }
        if let Some(claim) = &self.acr_claim {
            profile = profile.acr_claim(claim.as_str());
        }
        if let Some(claim) = &self.auth_time_claim {
            profile = profile.auth_time_claim(claim.as_str());
        }
        for (method, values) in &self.ask {
            profile = profile.ask(method.clone(), values.iter());
        }
        for (acr, methods) in &self.proves {
            profile = profile.proves(acr, methods.iter().cloned());
        }
        profile
    }
}

fn ask_issuer(
    name: &str,
    vocabulary: &Vocabulary,
    contract: &Contract,
) -> Result<Vec<Finding>, Failure> {
    if vocabulary.provider == Provider::Auth0
        && vocabulary.audience.is_none()
        && vocabulary.namespace.is_none()
    {
        return Err(Failure::Usage(
            "Auth0's claims stand under the API's audience; say --audience, or --namespace".into(),
        ));
    }
    // Any name does for what is not looked at.
    let audience = vocabulary.audience.as_deref().unwrap_or(name);
    let issuer = Issuer::of(vocabulary.provider, name, audience).adjust(|p| vocabulary.adjust(p));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(issuer.check(contract))?)
}
