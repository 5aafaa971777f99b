//! `stepup explain`: why a token is authorized at an endpoint or not, and how a client can recover.

use crate::contract_file::input::contract;
use crate::explain::explanation::{DPOP, Explanation, NOT_VERIFIED, Verification, short};
use crate::explain::presented::Presented;
use crate::report::display::visible;
use crate::report::failure::Failure;
use crate::report::output::print;
use crate::request::client_request::{ClientRequest, parse_target};
use crate::settings::file::SettingsFile;
use crate::settings::identity::Identity;
use crate::settings::issuer::IssuerArguments;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use stepup_runtime::{Cause, Contract, ContractEnforcer, HttpMethod, InvalidRequest, StepUp};

/// Explain a decision.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("presented").required(true).args(["token", "claims"])))]
pub(crate) struct Arguments {
    /// The contract as JSON, or a compiled program.
    #[arg(value_name = "CONTRACT")]
    contract: PathBuf,
    /// The method of the request.
    #[arg(value_name = "METHOD")]
    method: String,
    /// The path of the request, and its query.
    #[arg(value_name = "PATH")]
    target: String,
    /// The file with the token, a JWT; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,
    /// The file with the claims as JSON, or with the introspection response; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    claims: Option<PathBuf>,
    /// A further request header, such as "X-HTTP-Method: PUT". May be repeated.
    #[arg(long, short = 'H', value_name = "HEADER", value_parser = header)]
    header: Vec<(HeaderName, HeaderValue)>,
    /// Verify the token as the program would, with the issuer's keys.
    #[arg(long, requires = "token", conflicts_with = "claims")]
    verify: bool,
    /// The address at which clients reach the API, to verify DPoP proofs: StepUp::builder().resource.
    #[arg(long, value_name = "URL", env = "STEPUP_RESOURCE")]
    resource: Option<String>,
    /// The time of the request, in seconds since the epoch [default: now].
    #[arg(long, value_name = "SECONDS", conflicts_with = "verify")]
    now: Option<u64>,
    #[command(flatten)]
    settings: SettingsFile,
    #[command(flatten)]
    issuer: IssuerArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let credential = arguments.token.as_ref().or(arguments.claims.as_ref());
    if [Some(&arguments.contract), credential]
        .iter()
        .all(|path| path.is_some_and(|path| path.as_os_str() == "-"))
    {
        return Err(Failure::Usage(
            "only one of the contract and the credential can be on standard input".into(),
        ));
    }
    if arguments.method.starts_with('/') {
        return Err(Failure::Usage(format!(
            "write the method first: stepup explain … {} {}",
            arguments.target, arguments.method
        )));
    }
    let contract = contract(&arguments.contract)?;
    let presented = Presented::read(arguments.token.as_deref(), arguments.claims.as_deref())?;
    let request = match request(arguments, &presented)? {
        Ok(request) => request,
        Err(reason) => {
            let not_verified = if arguments.verify { "" } else { NOT_VERIFIED };
            let refused = visible(&short(&Cause::from(reason).into()));
            let mut text = format!("{not_verified}request: refused with {refused}\n");
            if !arguments.target.starts_with('/') {
                text.push_str(
                    "  write the path starting with its first `/`, without scheme and host\n",
                );
            }
            print(&text)?;
            return Err(Failure::Findings(String::new()));
        }
    };
    let (issuer, vocabulary) = issuer(arguments, &presented)?;
    let verification = match arguments.verify {
        true => Some(verify(arguments, &issuer, &contract, &request)?),
        false => None,
    };
    let explanation = Explanation {
        contract: &contract,
        presented: &presented,
        request: &request,
        issuer: &issuer,
        vocabulary,
        verification,
        confusable_headers: confusable_headers(arguments)?,
        now: arguments.now.unwrap_or_else(now),
    };
    let (text, allowed) = explanation.write();
    print(&text)?;
    // The text ends with the verdict already.
    if allowed { Ok(()) } else { Err(Failure::Findings(String::new())) }
}

/// A header as written in a request.
fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write it as \"Name: value\"")?;
    let name = name.trim().parse().map_err(|_| format!("{name:?} is not a header name"))?;
    let value = value.trim().parse().map_err(|_| format!("{value:?} is not a header value"))?;
    Ok((name, value))
}

/// The request, as a gateway extracts it. A bound token with a proof is presented in the DPoP scheme (RFC 9449 §7.1);
/// an unbound one in the Bearer scheme, even with a proof.
fn request(
    arguments: &Arguments,
    presented: &Presented,
) -> Result<Result<ClientRequest, InvalidRequest>, Failure> {
    let odd = |what: &str| Failure::Usage(format!("a request cannot have this {what}"));
    // A method's name is case-sensitive, but a person who types it means the method.
    let known = arguments.method.to_ascii_uppercase();
    let is_known = known.parse::<HttpMethod>().is_ok();
    let method = if is_known { &known } else { &arguments.method };
    let method = method.parse().map_err(|_| odd("method"))?;
    let proof = arguments.header.iter().any(|(name, _)| name == "dpop");
    let scheme = if proof && presented.claims.contains_key("cnf") { DPOP } else { "Bearer" };
    // Claims that are passed without a token are explained as if a token contained them.
    let token = presented.token.as_deref().unwrap_or("claims");
    let credential = format!("{scheme} {token}").parse().map_err(|_| odd("token"))?;
    let mut headers = HeaderMap::new();
    headers.append(AUTHORIZATION, credential);
    for (name, value) in &arguments.header {
        headers.append(name.clone(), value.clone());
    }
    let target = parse_target(arguments.target.as_bytes());
    Ok(target.map(|target| ClientRequest { method, target, headers }))
}

/// The request's headers that could be mistaken for identity headers.
fn confusable_headers(arguments: &Arguments) -> Result<Vec<HeaderName>, Failure> {
    if arguments.header.is_empty() {
        return Ok(Vec::new());
    }
    let settings = arguments.settings.load()?.gateway;
    let identity = Identity::new(&settings.identity, &settings.tell)?;
    let names = arguments.header.iter().map(|(name, _)| name);
    Ok(names.filter(|name| identity.is_confusable(name.as_str())).cloned().collect())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The issuer from the flags, or the one in the settings that the claims name, or one with the default vocabulary; and
/// a description of the choice.
fn issuer(
    arguments: &Arguments,
    presented: &Presented,
) -> Result<(IssuerArguments, String), Failure> {
    if let Some(url) = &arguments.issuer.issuer {
        return Ok((arguments.issuer.clone(), format!("that of {url}, from the flags")));
    }
    let named = presented.claims.get("iss").and_then(Value::as_str);
    let issuers = arguments.settings.load()?.issuers;
    let has_others = !issuers.is_empty();
    let known = issuers.into_iter();
    let mut known = known.filter(|issuer| named.is_some() && issuer.issuer.as_deref() == named);
    Ok(match (known.next(), named) {
        (Some(issuer), Some(url)) => (issuer, format!("that of {url}, from the settings")),
        (_, url) => {
            let issuer = url.map_or_else(
                || "an issuer that the token does not name".into(),
                |url| format!("the issuer {url}"),
            );
            // If the settings list issuers, only these are trusted.
            let arguments = IssuerArguments::unknown(has_others);
            (arguments, format!("the default; {issuer} is not in the settings"))
        }
    })
}

fn verify(
    arguments: &Arguments,
    issuer: &IssuerArguments,
    contract: &Contract,
    request: &ClientRequest,
) -> Result<Verification, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut builder = StepUp::builder().issuer(issuer.to_verify()?);
        if let Some(resource) = &arguments.resource {
            builder = builder.resource(resource);
        }
        let step_up = builder.build().await.map_err(Failure::other)?;
        Ok(ContractEnforcer::new(contract, step_up).enforce(request.head()).await.map(drop))
    })
}
