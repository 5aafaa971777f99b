//! The explanation of a decision, step by step.

use crate::explain::presented::Presented;
use crate::explain::unverified::Unverified;
use crate::explain::verdict::verdict;
use crate::report::display::visible;
use crate::request::client_request::ClientRequest;
use crate::settings::issuer::IssuerArguments;
use http::header::{AUTHORIZATION, HeaderName};
use serde_json::Value;
use std::fmt::Write as _;
use stepup_contract::{
    Contract, Decision, Endpoint, Evidence, Field, Matcher, Profile, decide, joined, numeric_date,
    trace,
};
use stepup_runtime::{
    Capabilities, Cause, EndpointLookup, OverrideCheck, Refusal, TokenError, check_credential,
    unenforceable,
};

/// The result of enforcing the contract with verification.
pub(crate) type Verification = Result<(), Refusal>;

/// The scheme of a token with a proof.
pub(crate) const DPOP: &str = "DPoP";

/// The first line without verification.
pub(crate) const NOT_VERIFIED: &str = "NOT VERIFIED: the claims may be made up; add --verify with --issuer, --audience and \
                                       --token to check them\n";

/// Everything that an explanation is based on.
pub(crate) struct Explanation<'a> {
    pub(crate) contract: &'a Contract,
    pub(crate) presented: &'a Presented,
    pub(crate) request: &'a ClientRequest,
    pub(crate) issuer: &'a IssuerArguments,
    /// A description of the issuer's vocabulary.
    pub(crate) vocabulary: String,
    pub(crate) verification: Option<Verification>,
    /// Headers that a service behind a gateway could mistake for identity headers.
    pub(crate) confusable_headers: Vec<HeaderName>,
    pub(crate) now: u64,
}

/// The lines written so far.
struct Lines(String);

impl Lines {
    fn add(&mut self, line: impl AsRef<str>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{}", visible(line.as_ref()));
    }
}

impl Explanation<'_> {
    /// The text, and whether the request is allowed.
    pub(crate) fn write(&self) -> (String, bool) {
        let mut lines = Lines(String::new());
        if self.verification.is_none() {
            lines.add(NOT_VERIFIED.trim_end());
        }
        for name in &self.confusable_headers {
            lines.add(format!(
                "gateway: stepup gateway refuses the request with 400, because a service could mistake {name} for an \
                 identity header; handlers do not"
            ));
        }
        let matcher = Matcher::new(self.contract);
        let allowed = match self.lookup(&matcher) {
            Ok(EndpointLookup::Endpoint(endpoint)) => self.endpoint(endpoint, &mut lines),
            Ok(EndpointLookup::Preflight) => {
                self.without_credential(
                    "request: a CORS preflight for an endpoint, which is sent without the token; allowed",
                    &mut lines,
                )
            }
            Ok(EndpointLookup::Unlisted) => {
                self.without_credential(
                    "request: matches no endpoint; allowed, because `unlisted` is \"allow\"",
                    &mut lines,
                )
            }
            Ok(_) => {
                lines.add("request: cannot be explained by this version");
                false
            }
            Err(Cause::Unlisted) => {
                lines.add(
                    "request: matches no endpoint; a gateway and step_up.protect() refuse it with 403, because `unlisted` \
                     is \"deny\"; a router without either of them serves it, if it has a handler for it",
                );
                if self.request.head().path().starts_with("/.well-known/oauth-protected-resource") {
                    lines.add("  except for the metadata of an API whose --resource is configured, which is public");
                }
                if let Some(route) = self.route_under_base() {
                    lines.add(format!(
                        "  every path of this contract starts with its base; did you mean {route}?"
                    ));
                }
                false
            }
            Err(cause) => {
                lines.add(format!("request: refused with {}", short(&cause.into())));
                false
            }
        };
        (lines.0, allowed)
    }

    /// A request that is allowed without a credential, unless the enforcement has refused it for another reason.
    fn without_credential(&self, allowed: &str, lines: &mut Lines) -> bool {
        let refusal = self.verification.as_ref().and_then(|result| result.as_ref().err());
        match refusal {
            Some(refusal) => lines.add(format!("refused with {}", short(refusal))),
            None => lines.add(allowed),
        }
        refusal.is_none()
    }

    /// The route that the request would match if its path started with the contract's base.
    fn route_under_base(&self) -> Option<String> {
        let head = self.request.head();
        let path = joined(self.contract.base()?, head.path());
        let matcher = Matcher::new(self.contract);
        let endpoint = matcher.find(head.method().as_str(), &path).ok().flatten()?;
        Some(format!("{} {path}, which matches {}", head.method(), self.contract.route(endpoint)))
    }

    /// The endpoint that the request matches. A browser sends a preflight without the token, so that the request is
    /// tried without the token first.
    fn lookup<'m>(&self, matcher: &'m Matcher) -> Result<EndpointLookup<'m>, Cause> {
        let mut without_token = self.request.clone();
        without_token.headers.remove(AUTHORIZATION);
        let find = |request: &ClientRequest| {
            EndpointLookup::find(matcher, &request.head(), OverrideCheck::Refuse)
        };
        match find(&without_token) {
            Ok(EndpointLookup::Preflight) => Ok(EndpointLookup::Preflight),
            _ => find(self.request),
        }
    }

    /// Explains the decision at an endpoint, and returns whether the request is allowed.
    fn endpoint(&self, endpoint: &Endpoint, lines: &mut Lines) -> bool {
        let handler = endpoint.handler.as_deref().map(|h| format!(", {h}")).unwrap_or_default();
        lines.add(format!("request: matches {}{handler}", self.contract.route(endpoint)));
        if endpoint.public {
            let reason = endpoint.reason.as_deref().unwrap_or("no reason given");
            lines.add(format!("trust: public, so no credential is required; reason: {reason}"));
            return self.without_credential("allowed", lines);
        }
        if let Some(reason) = unenforceable(&endpoint.requirement, Capabilities::ALL) {
            lines.add(format!("refused with 500: {reason}"));
            return false;
        }
        if let Err(cause) = check_credential(&self.request.head()) {
            lines.add(format!("credential: refused with {}", short(&cause.into())));
            return false;
        }
        let headers = &self.request.headers;
        let as_dpop = headers.get(AUTHORIZATION);
        let as_dpop = as_dpop.is_some_and(|value| value.as_bytes().starts_with(DPOP.as_bytes()));
        let needless_proof = headers.contains_key("dpop") && !as_dpop;
        let note = if needless_proof {
            ", as Bearer, because the token is not bound to a key"
        } else {
            ""
        };
        lines.add(format!("credential: exactly one{note}"));
        lines.add(format!("token: {}", self.token()));
        let refusal = self.verification.as_ref().and_then(|result| result.as_ref().err());
        let decided = |cause: &Cause| {
            matches!(cause, Cause::StepUp(..) | Cause::InsufficientScope(_) | Cause::Denied(_))
        };
        if let Some(refusal) = refusal.filter(|refusal| !decided(refusal.cause())) {
            lines.add(format!("refused with {}", refusal.status().as_u16()));
            if let Some(challenge) = refusal.www_authenticate() {
                lines.add(format!("  WWW-Authenticate: {challenge}"));
            }
            return false;
        }
        self.evidence(endpoint, as_dpop, refusal, lines)
    }

    /// Explains the evidence of an acceptable token.
    fn evidence(
        &self,
        endpoint: &Endpoint,
        as_dpop: bool,
        refusal: Option<&Refusal>,
        lines: &mut Lines,
    ) -> bool {
        let profile = self.issuer.profile();
        let authentication = profile.authentication(&self.presented.claims);
        let claims = match Unverified::of(self.issuer).check(self.presented, as_dpop) {
            Ok(claims) => claims,
            Err(error) => {
                lines.add(format!("refused with {}", short(&Cause::from(error).into())));
                if let Some(hint) = hint(error) {
                    lines.add(hint);
                }
                return false;
            }
        };
        let bound = claims.bound_to.is_some();
        if let Err(error) = claims.times.check(self.now, authentication.clock_skew) {
            let reason = short(&Cause::from(error).into());
            lines.add(format!("refused with {reason}; to recover, request another token"));
            return false;
        }
        lines.add(format!("vocabulary: {}", self.vocabulary));
        if bound && self.verification.is_none() {
            lines.add("proof: the token is bound to a key; its proof is assumed to be valid");
        }
        let evidence = Evidence::of(&authentication).bound(bound);
        for step in trace(&endpoint.requirement, &evidence, self.now) {
            lines.add(step.to_string());
            // The session is checked after the token and before the authentication.
            if step.name == Field::Bound.key() {
                lines.add("session: not checked here");
            }
        }
        self.unreadable_claims(&profile, lines);
        let decision = decide(&endpoint.requirement, &evidence, self.now);
        match refusal {
            // The enforcement has used its own clock, so its result counts.
            Some(refusal) if decision == Decision::Allow => {
                lines.add(format!("refused with {}", short(refusal)));
            }
            _ => lines.add(verdict(decision, endpoint, &profile)),
        }
        decision == Decision::Allow && refusal.is_none()
    }

    /// Names claims that are present, but have another shape than the profile expects, and so prove nothing.
    fn unreadable_claims(&self, profile: &Profile, lines: &mut Lines) {
        let claims = &self.presented.claims;
        let authentication = profile.authentication(claims);
        let [amr, acr, auth_time] = profile.claim_paths();
        for (path, read, fix) in [
            (amr, !profile.amr(claims).is_empty(), "an array of strings is expected"),
            (
                acr,
                !authentication.acr.is_empty(),
                "a string is expected (or an array of strings, with --acr-list-claim)",
            ),
            (auth_time, authentication.auth_time.is_some(), "a number of seconds is expected"),
        ] {
            if let Some(value) = path.get(claims).filter(|_| !read) {
                lines.add(format!("  the claim {path} is {value}, which proves nothing; {fix}"));
            }
        }
    }

    /// The state of the token itself.
    fn token(&self) -> String {
        if let Some(result) = &self.verification {
            return match result.as_ref().err().map(Refusal::cause) {
                Some(Cause::InvalidToken(reason)) => format!("not accepted: {reason}"),
                Some(Cause::InvalidProof(reason)) => format!("not accepted: {reason}"),
                Some(Cause::InvalidRequest(reason)) => format!("not accepted: {reason}"),
                Some(Cause::Misconfigured(reason)) => format!("not accepted: {reason}"),
                Some(Cause::Unavailable { .. }) => "its issuer is unreachable".into(),
                _ => "verified".into(),
            };
        }
        let claims = &self.presented.claims;
        let text = |name: &str| claims.get(name).map_or("none".to_owned(), Value::to_string);
        let expires = match claims.get("exp").and_then(numeric_date) {
            None => "no expiry".to_owned(),
            Some(end) if end > self.now => format!("expires in {} s", end - self.now),
            Some(end) => format!("expired {} s ago", self.now - end),
        };
        format!("iss {}, aud {}, sub {}, {expires}", text("iss"), text("aud"), text("sub"))
    }
}

/// What to configure if the issuer's access tokens are refused for this reason.
fn hint(error: TokenError) -> Option<&'static str> {
    match error {
        TokenError::NotAnAccessToken => Some(
            "  an access token has the typ at+jwt; if this issuer's have JWT or none, use --allow-untyped-tokens",
        ),
        TokenError::NotMarkedAsAccessToken => Some(
            "  without the typ at+jwt, an access token has one of the claims scope, scp, client_id, cid, appid, azpacr \
             and appidacr, or typ Bearer, and none of nonce, at_hash, c_hash, s_hash and events; configure the issuer to \
             add one, or to send at+jwt",
        ),
        _ => None,
    }
}

/// The status of a refusal, and its reason.
pub(crate) fn short(refusal: &Refusal) -> String {
    let reason = match refusal.cause() {
        Cause::InvalidRequest(reason) => reason.text(),
        Cause::AmbiguousPath(reason) => reason.text(),
        Cause::InvalidToken(reason) => reason.text(),
        _ => refusal.kind(),
    };
    format!("{}: {reason}", refusal.status().as_u16())
}
