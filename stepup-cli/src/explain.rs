//! `stepup explain`: why a token is let in at an endpoint or not, step by step, and what would cure it.

use crate::failure::Failure;
use crate::input::{bytes, contract};
use crate::issuer::IssuerArguments;
use crate::settings;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use stepup_contract::{
    Challenge, Contract, Decision, Endpoint, Evidence, Matcher, Profile, Reason, Unlisted, decide,
    numeric_date, parse_strict, steps,
};
use stepup_runtime::{Cause, Enforcer, StepUp, unenforceable};

/// Explain a decision.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The contract as JSON, or a compiled program.
    #[arg(value_name = "CONTRACT")]
    contract: PathBuf,
    /// The method of the request.
    #[arg(value_name = "METHOD")]
    method: String,
    /// The target of the request.
    #[arg(value_name = "PATH")]
    target: String,
    /// The file of the token, a JWT; `-` is standard input.
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "claims",
        conflicts_with = "claims"
    )]
    token: Option<PathBuf>,
    /// The file of a token's claims as JSON, or of what introspection says; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    claims: Option<PathBuf>,
    /// Verify the token as the program would, with the issuer's keys.
    #[arg(long, requires = "token", conflicts_with = "claims")]
    verify: bool,
    /// The time of the request, in seconds since the epoch. Now unless given.
    #[arg(long, value_name = "SECONDS", conflicts_with = "verify")]
    now: Option<u64>,
    #[command(flatten)]
    settings: settings::From,
    #[command(flatten)]
    issuer: IssuerArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let contract = contract(&arguments.contract)?;
    let presented = Presented::read(arguments)?;
    let now = arguments.now.unwrap_or_else(now);
    let issuer = issuer(arguments, &presented)?;
    let verified = match &presented.token {
        Some(token) if arguments.verify => Some(verify(arguments, &issuer, &contract, token)?),
        _ => None,
    };
    let profile = issuer.profile();
    let (text, allowed) =
        explanation(arguments, &contract, &presented, &profile, verified.as_ref(), now);
    io::stdout().lock().write_all(text.as_bytes())?;
    if allowed { Ok(()) } else { Err(Failure::Found("refused".into())) }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The issuer of the flags, else the one of the settings that the claims name, else one without a vocabulary of
/// its own.
fn issuer(arguments: &Arguments, presented: &Presented) -> Result<IssuerArguments, Failure> {
    if arguments.issuer.issuer.is_some() {
        return Ok(arguments.issuer.clone());
    }
    let named = presented.claims.get("iss").and_then(Value::as_str);
    let known = arguments.settings.named()?.issuers.into_iter();
    let mut known = known.filter(|issuer| named.is_some() && issuer.issuer.as_deref() == named);
    Ok(known.next().unwrap_or_default())
}

/// What is shown in place of a request's credential.
struct Presented {
    /// The token itself, where there is one.
    token: Option<String>,
    claims: Map<String, Value>,
}

impl Presented {
    fn read(arguments: &Arguments) -> Result<Self, Failure> {
        let Some(path) = &arguments.token else {
            let path = arguments.claims.as_deref().unwrap_or(Path::new("-"));
            return Ok(Self { token: None, claims: claims(path, &text(path)?)? });
        };
        let token = text(path)?.trim().to_owned();
        let odd = |why: &str| Failure::Usage(format!("{}: {why}", path.display()));
        let payload = match token.split('.').collect::<Vec<_>>()[..] {
            [_, payload, _] => payload,
            _ => {
                return Err(odd(
                    "not a JWT; of an opaque token give what introspection says, by --claims",
                ));
            }
        };
        let payload = URL_SAFE_NO_PAD
            .decode(payload)
            .map_err(|_| odd("the token's payload is not base64url"))?;
        let claims = claims(path, &String::from_utf8_lossy(&payload))?;
        Ok(Self { token: Some(token), claims })
    }
}

fn text(path: &Path) -> Result<String, Failure> {
    let odd = |_| Failure::Usage(format!("{}: not a text", path.display()));
    String::from_utf8(bytes(path)?).map_err(odd)
}

fn claims(path: &Path, text: &str) -> Result<Map<String, Value>, Failure> {
    match parse_strict(text.as_bytes()) {
        Ok(Value::Object(claims)) => Ok(claims),
        Ok(_) => Err(Failure::Usage(format!("{}: claims are a JSON object", path.display()))),
        Err(why) => Err(Failure::Usage(format!("{}: {why}", path.display()))),
    }
}

/// What the program would answer, if it refuses.
type Answer = Result<(), stepup_runtime::Refusal>;

fn verify(
    arguments: &Arguments,
    issuer: &IssuerArguments,
    contract: &Contract,
    token: &str,
) -> Result<Answer, Failure> {
    let request = http::Request::builder()
        .method(arguments.method.as_str())
        .uri(arguments.target.as_str())
        .header("authorization", format!("Bearer {token}"))
        .body(());
    let request = request.map_err(|why| Failure::Usage(format!("no such request: {why}")))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let builder = StepUp::builder().issuer(issuer.to_trust()?);
        let step_up = builder.build().await.map_err(Box::new)?;
        let enforcer = Enforcer::new(contract, step_up);
        Ok(enforcer.enforce(&request.into_parts().0).await.map(drop))
    })
}

/// The text, and whether the request is let in.
fn explanation(
    arguments: &Arguments,
    contract: &Contract,
    presented: &Presented,
    profile: &Profile,
    verified: Option<&Answer>,
    now: u64,
) -> (String, bool) {
    let mut text = String::new();
    let mut say = |line: String| {
        let _ = writeln!(text, "{line}");
    };
    if verified.is_none() {
        say("NOT VERIFIED: whoever wrote the claims may have made them up; say --verify with \
             --issuer, --audience and --token to have them verified"
            .into());
    }
    let path = arguments.target.split('?').next().unwrap_or_default();
    let found = Matcher::new(contract);
    let endpoint = match found.find(&arguments.method, path) {
        Err(why) => {
            say(format!("request: refused with 400: {why}"));
            return (text, false);
        }
        Ok(None) => {
            let allowed = contract.unlisted() == Unlisted::Allow;
            let what = if allowed { "let through" } else { "refused with 403" };
            say(format!("request: no endpoint takes it; by `unlisted` it is {what}"));
            return (text, allowed);
        }
        Ok(Some(endpoint)) => endpoint,
    };
    let handler = endpoint.handler.as_deref().map(|h| format!(", {h}")).unwrap_or_default();
    say(format!("request: taken by {}{handler}", endpoint.route()));
    say("credential: one is looked at here; a request may carry no second one".into());
    say(format!("token: {}", token(presented, verified, now)));
    let bad_token = verified.and_then(|answer| answer.as_ref().err()).filter(|refusal| {
        !matches!(
            refusal.cause(),
            Cause::StepUp(..) | Cause::InsufficientScope(_) | Cause::Denied(_)
        )
    });
    if let Some(refusal) = bad_token {
        say(format!("refused with {}", refusal.status().as_u16()));
        say(refusal
            .www_authenticate()
            .map(|value| format!("  WWW-Authenticate: {value}"))
            .unwrap_or_default());
        return (text, false);
    }
    if presented.claims.get("exp").and_then(numeric_date).is_some_and(|end| end <= now) {
        say("refused with 401; the token has ended, and a new one cures it".into());
        return (text, false);
    }
    if let Some(why) = unenforceable(&endpoint.requirement, true) {
        say(format!("refused with 500: {why}"));
        return (text, false);
    }
    let authentication = profile.authentication(&presented.claims);
    let bound = presented.claims.get("cnf").is_some_and(|cnf| cnf.get("jkt").is_some());
    let evidence = Evidence { bound, ..Evidence::of(&authentication) };
    if bound {
        say("proof: the token is bound to a key; that it is shown with its proof is assumed".into());
    }
    say("session: not looked at here".into());
    for step in steps(&endpoint.requirement, &evidence, now) {
        say(step.to_string());
    }
    let decision = decide(&endpoint.requirement, &evidence, now);
    say(verdict(decision, endpoint, profile));
    (text, decision == Decision::Allow && verified.is_none_or(Result::is_ok))
}

/// What can be said of the token itself.
fn token(presented: &Presented, verified: Option<&Answer>, now: u64) -> String {
    if let Some(answer) = verified {
        let cause = answer.as_ref().err().map(|refusal| refusal.cause());
        return match cause {
            Some(
                Cause::InvalidToken(why)
                | Cause::InvalidRequest(why)
                | Cause::InvalidProof(why)
                | Cause::Misconfigured(why),
            ) => format!("not accepted: {why}"),
            Some(Cause::Unavailable { .. }) => "its issuer cannot be heard".into(),
            _ => "verified".into(),
        };
    }
    let text = |name: &str| presented.claims.get(name).map_or("none".to_owned(), Value::to_string);
    let expires = presented.claims.get("exp").and_then(numeric_date);
    let expires = match expires {
        None => "without an end".to_owned(),
        Some(end) if end > now => format!("ends in {} s", end - now),
        Some(end) => format!("ended {} s ago", now - end),
    };
    format!("iss {}, aud {}, sub {}, {expires}", text("iss"), text("aud"), text("sub"))
}

fn verdict(decision: Decision, endpoint: &Endpoint, profile: &Profile) -> String {
    let Decision::Refuse(reason) = decision else { return "let in".into() };
    let Some(cure) = Challenge::for_reason(reason, &endpoint.requirement, profile) else {
        let why = match reason {
            Reason::NotBound => "the token is not bound to a key",
            Reason::IssuerBarred => "users of this issuer may not step up",
            _ => "the session's risk",
        };
        return format!("refused: {why}; no login cures it");
    };
    let mut text = String::from("refused; cured by a token that is asked for with");
    let Challenge { acr_values, max_age, scope } = cure;
    if !acr_values.is_empty() {
        let _ = write!(text, " acr_values={:?}", acr_values.join(" "));
    }
    if let Some(max_age) = max_age {
        let _ = write!(text, " max_age={max_age}");
    }
    if !scope.is_empty() {
        let _ = write!(text, " scope={:?}", scope.join(" "));
    }
    text
}
