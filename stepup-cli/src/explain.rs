//! `stepup explain`: why a token is let in at an endpoint or not, step by step, and what would cure it.

mod presented;
mod unverified;
mod verdict;

use crate::failure::Failure;
use crate::gateway::{Identity, head, target_of};
use crate::input::contract;
use crate::issuer::IssuerArguments;
use crate::output::print;
use crate::settings;
use crate::wording::visible;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use presented::Presented;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use stepup_contract::{
    Contract, Decision, Evidence, Field, Matcher, Profile, decide, numeric_date, steps,
};
use stepup_runtime::{Cause, Enforcer, Found, Refusal, StepUp, check_credential, unenforceable};
use unverified::Unverified;
use verdict::verdict;

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
    /// The address under which clients reach the API, to verify proofs of DPoP: StepUp::builder().resource.
    #[arg(long, value_name = "URL", env = "STEPUP_RESOURCE")]
    resource: Option<String>,
    /// The time of the request, in seconds since the epoch [default: now].
    #[arg(long, value_name = "SECONDS", conflicts_with = "verify")]
    now: Option<u64>,
    #[command(flatten)]
    settings: settings::From,
    #[command(flatten)]
    issuer: IssuerArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let proof = arguments.token.as_ref().or(arguments.claims.as_ref());
    if [Some(&arguments.contract), proof]
        .iter()
        .all(|path| path.is_some_and(|path| path.as_os_str() == "-"))
    {
        return Err(Failure::Usage(
            "only one of the contract and what is presented can be on standard input".into(),
        ));
    }
    let contract = contract(&arguments.contract)?;
    let presented = Presented::read(arguments)?;
    let request = match request(arguments, &presented)? {
        Ok(request) => request,
        Err(refusal) => {
            let not_verified = if arguments.verify { "" } else { NOT_VERIFIED };
            let refused = visible(&short(&refusal));
            let mut text = format!("{not_verified}request: refused with {refused}\n");
            if !arguments.target.starts_with('/') {
                text.push_str("  write the path from its first `/` on, without scheme and host\n");
            }
            print(&text)?;
            return Err(Failure::Found("refused".into()));
        }
    };
    let (issuer, named) = issuer(arguments, &presented)?;
    let verified = if arguments.verify {
        Some(verify(arguments, &issuer, &contract, &request)?)
    } else {
        None
    };
    let explanation = Explanation {
        contract: &contract,
        presented: &presented,
        request: &request,
        profile: issuer.profile(),
        trust: Unverified::of(&issuer),
        vocabulary: named,
        verified,
        mimics: mimics(arguments)?,
        now: arguments.now.unwrap_or_else(now),
    };
    let (text, allowed) = explanation.told();
    print(&text)?;
    if allowed { Ok(()) } else { Err(Failure::Found("refused".into())) }
}

/// A header as it is written in a request.
fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write it as \"Name: value\"")?;
    let name = name.trim().parse().map_err(|_| format!("{name:?} is not a header's name"))?;
    let value = value.trim().parse().map_err(|_| format!("{value:?} is not a header's value"))?;
    Ok((name, value))
}

/// The request's head, as a gateway reads it. A bound token with a proof is presented by DPoP (RFC 9449 §7.1); one that
/// is bound to no key is a bearer's, whatever comes with it.
fn request(
    arguments: &Arguments,
    presented: &Presented,
) -> Result<Result<Parts, Refusal>, Failure> {
    let odd = |what: &str| Failure::Usage(format!("a request cannot have this {what}"));
    let method = arguments.method.parse().map_err(|_| odd("method"))?;
    let proof = arguments.header.iter().any(|(name, _)| name == "dpop");
    let scheme = if proof && presented.claims.contains_key("cnf") { DPOP } else { "Bearer" };
    // Claims stand for a token that has them.
    let token = presented.token.as_deref().unwrap_or("claims");
    let credential = format!("{scheme} {token}").parse().map_err(|_| odd("token"))?;
    let mut headers = HeaderMap::new();
    headers.append(AUTHORIZATION, credential);
    for (name, value) in &arguments.header {
        headers.append(name.clone(), value.clone());
    }
    let target = target_of(arguments.target.as_bytes());
    Ok(target.map(|target| head(method, target, headers)))
}

/// Those of the request's headers that could be mistaken for an identity header's.
fn mimics(arguments: &Arguments) -> Result<Vec<HeaderName>, Failure> {
    if arguments.header.is_empty() {
        return Ok(Vec::new());
    }
    let settings = arguments.settings.near()?.gateway;
    let identity = Identity::new(&settings.identity, &settings.tell)?;
    let names = arguments.header.iter().map(|(name, _)| name);
    Ok(names.filter(|name| identity.is_mimicked_by(name.as_str())).cloned().collect())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The issuer of the flags, else the one of the settings that the claims name, else one without a vocabulary of
/// its own; and whose vocabulary that is, in words.
fn issuer(
    arguments: &Arguments,
    presented: &Presented,
) -> Result<(IssuerArguments, String), Failure> {
    if let Some(url) = &arguments.issuer.issuer {
        return Ok((arguments.issuer.clone(), format!("that of {url}, from the flags")));
    }
    let named = presented.claims.get("iss").and_then(Value::as_str);
    let issuers = arguments.settings.near()?.issuers;
    let others = !issuers.is_empty();
    let known = issuers.into_iter();
    let mut known = known.filter(|issuer| named.is_some() && issuer.issuer.as_deref() == named);
    Ok(match (known.next(), named) {
        (Some(issuer), Some(url)) => (issuer, format!("that of {url}, from the settings")),
        (_, url) => (
            // Where the settings name issuers, they are all that is trusted.
            IssuerArguments::unknown(others),
            format!(
                "the default; {} is not in the settings",
                url.map_or_else(
                    || "an issuer that the token does not name".into(),
                    |url| { format!("the issuer {url}") }
                )
            ),
        ),
    })
}

/// What the program would answer, if it refuses.
type Answer = Result<(), Refusal>;

fn verify(
    arguments: &Arguments,
    issuer: &IssuerArguments,
    contract: &Contract,
    request: &Parts,
) -> Result<Answer, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut builder = StepUp::builder().issuer(issuer.to_trust()?);
        if let Some(resource) = &arguments.resource {
            builder = builder.resource(resource);
        }
        let step_up = builder.build().await.map_err(Box::new)?;
        Ok(Enforcer::new(contract, step_up).enforce(request).await.map(drop))
    })
}

/// The scheme that shows a proof.
const DPOP: &str = "DPoP";

/// The first line where nothing is verified.
const NOT_VERIFIED: &str = "NOT VERIFIED: the claims may be made up; add --verify with --issuer, --audience and \
                            --token to check them\n";

/// What is explained, and with which knowledge.
struct Explanation<'a> {
    contract: &'a Contract,
    presented: &'a Presented,
    request: &'a Parts,
    profile: Profile,
    /// Whose profile it is.
    vocabulary: String,
    trust: Unverified,
    verified: Option<Answer>,
    /// Headers that a service behind a gateway could take for what the gateway tells it.
    mimics: Vec<HeaderName>,
    now: u64,
}

impl Explanation<'_> {
    /// What the request meets. A preflight is sent by a browser, which does not have the token yet.
    fn found<'m>(&self, matcher: &'m Matcher) -> Result<Found<'m>, Refusal> {
        let mut bare = self.request.clone();
        bare.headers.remove(AUTHORIZATION);
        match Found::of(matcher, &bare) {
            Ok(Found::Preflight) => Ok(Found::Preflight),
            _ => Found::of(matcher, self.request),
        }
    }

    /// The text, and whether the request is let in.
    fn told(&self) -> (String, bool) {
        let mut text = String::new();
        let mut say = |line: String| {
            let _ = writeln!(text, "{}", visible(&line));
        };
        if self.verified.is_none() {
            say(NOT_VERIFIED.trim_end().into());
        }
        for name in &self.mimics {
            say(format!(
                "gateway: stepup gateway refuses it with 400, since a service could take {name} for an identity header; \
                 handlers do not"
            ));
        }
        let matcher = Matcher::new(self.contract);
        let endpoint = match self.found(&matcher) {
            Ok(Found::Endpoint(endpoint)) => endpoint,
            Ok(Found::Preflight) => {
                say("request: a CORS preflight for an endpoint, which is sent without the token; let through".into());
                return (text, true);
            }
            Ok(Found::Unlisted) => {
                say("request: matches no endpoint; let through, since `unlisted` is \"allow\""
                    .into());
                return (text, true);
            }
            Err(refusal) => {
                say(match refusal.cause() {
                    Cause::Unlisted => {
                        "request: matches no endpoint; refused with 403, since `unlisted` is \"deny\"".into()
                    }
                    _ => format!("request: refused with {}", short(&refusal)),
                });
                return (text, false);
            }
        };
        let handler = endpoint.handler.as_deref().map(|h| format!(", {h}")).unwrap_or_default();
        say(format!("request: matches {}{handler}", self.contract.route(endpoint)));
        if let Some(why) = unenforceable(&endpoint.requirement, true) {
            say(format!("refused with 500: {why}"));
            return (text, false);
        }
        if let Err(refusal) = check_credential(self.request) {
            say(format!("credential: refused with {}", short(&refusal)));
            return (text, false);
        }
        let headers = &self.request.headers;
        let by_dpop = headers.get(AUTHORIZATION);
        let by_dpop = by_dpop.is_some_and(|shown| shown.as_bytes().starts_with(DPOP.as_bytes()));
        let bearer = headers.contains_key("dpop") && !by_dpop;
        let bearer = if bearer { ", as Bearer, since the token is bound to no key" } else { "" };
        say(format!("credential: exactly one{bearer}"));
        say(format!("token: {}", token(self.presented, self.verified.as_ref(), self.now)));
        let refused = self.verified.as_ref().and_then(|answer| answer.as_ref().err());
        let decided = |cause: &Cause| {
            matches!(cause, Cause::StepUp(..) | Cause::InsufficientScope(_) | Cause::Denied(_))
        };
        if let Some(refusal) = refused.filter(|refusal| !decided(refusal.cause())) {
            say(format!("refused with {}", refusal.status().as_u16()));
            if let Some(challenge) = refusal.www_authenticate() {
                say(format!("  WWW-Authenticate: {challenge}"));
            }
            return (text, false);
        }
        let claims = &self.presented.claims;
        let authentication = self.profile.authentication(claims);
        // What introspection says need not have an end.
        let standing = self.trust.check(self.presented, by_dpop);
        let standing = match standing {
            Ok(standing) => standing,
            Err(cause) => {
                say(format!("refused with {}", short(&cause.into())));
                return (text, false);
            }
        };
        let bound = standing.bound_to.is_some();
        if let Err(cause) = standing.times.check(self.now, authentication.clock_skew) {
            let why = short(&cause.into());
            say(format!("refused with {why}; to cure it, request another token"));
            return (text, false);
        }
        say(format!("vocabulary: {}", self.vocabulary));
        let evidence = Evidence { bound, ..Evidence::of(&authentication) };
        if bound && self.verified.is_none() {
            say("proof: the token is bound to a key; assumed to come with its proof".into());
        }
        for step in steps(&endpoint.requirement, &evidence, self.now) {
            say(step.to_string());
            // Its place is behind the token and in front of what it proves.
            if step.name == Field::Bound.key() {
                say("session: not examined here".into());
            }
        }
        let decision = decide(&endpoint.requirement, &evidence, self.now);
        match refused {
            // What the program says counts; it has looked at a clock of its own.
            Some(refusal) if decision == Decision::Allow => {
                say(format!("refused with {}", short(refusal)));
            }
            _ => say(verdict(decision, endpoint, &self.profile)),
        }
        (text, decision == Decision::Allow && refused.is_none())
    }
}

/// The status of a refusal, and its reason.
fn short(refusal: &Refusal) -> String {
    let why = match refusal.cause() {
        Cause::InvalidRequest(why) | Cause::InvalidToken(why) => why,
        _ => refusal.kind(),
    };
    format!("{}: {why}", refusal.status().as_u16())
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
            Some(Cause::Unavailable { .. }) => "its issuer cannot be reached".into(),
            _ => "verified".into(),
        };
    }
    let text = |name: &str| presented.claims.get(name).map_or("none".to_owned(), Value::to_string);
    let expires = presented.claims.get("exp").and_then(numeric_date);
    let expires = match expires {
        None => "no expiry".to_owned(),
        Some(end) if end > now => format!("expires in {} s", end - now),
        Some(end) => format!("expired {} s ago", now - end),
    };
    format!("iss {}, aud {}, sub {}, {expires}", text("iss"), text("aud"), text("sub"))
}
