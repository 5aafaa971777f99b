//! Whether an issuer can satisfy a contract: whether each endpoint's challenge leads to a login that
//! [`decide`](crate::decide) accepts. This is checked before deployment, because a challenge that no login satisfies
//! sends every client into a loop.

use crate::model::{Contract, Endpoint, Method, Requirement, Trust};
use crate::profile::profile::{Dialect, Profile};
use std::fmt;

/// The capabilities that an issuer publishes (OpenID Connect Discovery §3). A list is `None` if the issuer does not
/// publish it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// `acr_values_supported`.
    pub acr_values: Option<Vec<String>>,
    /// `claims_supported`.
    pub claims: Option<Vec<String>>,
    /// `id_token_signing_alg_values_supported`, the closest published list to the algorithms of access tokens.
    pub signing_algorithms: Option<Vec<String>>,
    /// `dpop_signing_alg_values_supported` (RFC 9449 §5.1).
    pub dpop_algorithms: Option<Vec<String>>,
    /// `backchannel_logout_supported` (OpenID Connect Back-Channel Logout §2.1).
    pub backchannel_logout: bool,
}

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// No login can satisfy the endpoint.
    Error,
    /// A login may not satisfy the endpoint, or this cannot be determined.
    Warning,
}

/// Something that prevents an issuer from satisfying a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The severity.
    pub severity: Severity,
    /// The endpoint's method and path; `None` if the finding is about the issuer as a whole.
    pub endpoint: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub fix: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}: ")?;
        if let Some(endpoint) = &self.endpoint {
            write!(f, "{endpoint}: ")?;
        }
        write!(f, "{}; {}", self.problem, self.fix)
    }
}

/// What prevents this issuer from satisfying the contract, errors first. `published` is `None` if the issuer's
/// discovery document was not read. `accepted` are the signature algorithms that an enforcer accepts.
pub fn findings(
    contract: &Contract,
    profile: &Profile,
    published: Option<&Published>,
    accepted: &[&str],
) -> Vec<Finding> {
    let discovered = published.is_some();
    let nothing = Published::default();
    let published = published.unwrap_or(&nothing);
    let mut check = Check { contract, profile, published, accepted, findings: Vec::new() };
    if !discovered {
        check.find(
            Severity::Warning,
            None,
            "the issuer's capabilities are unknown, because its discovery document was not read"
                .into(),
            "compare the contract with its capabilities by hand".into(),
        );
    }
    check.algorithms();
    if profile.steps_up() {
        if discovered {
            check.acr_values_are_published();
        }
        for endpoint in contract.endpoints() {
            check.endpoint(endpoint);
        }
        check.claims();
    }
    check.findings.sort_by_key(|finding| finding.severity);
    check.findings
}

struct Check<'a> {
    contract: &'a Contract,
    profile: &'a Profile,
    published: &'a Published,
    accepted: &'a [&'a str],
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn find(&mut self, severity: Severity, at: Option<&Endpoint>, problem: String, fix: String) {
        let endpoint = at.map(|endpoint| self.contract.route(endpoint));
        self.findings.push(Finding { severity, endpoint, problem, fix });
    }

    fn algorithms(&mut self) {
        let accepted = self.accepted;
        let Some(signing) = &self.published.signing_algorithms else { return };
        if !signing.iter().any(|algorithm| accepted.contains(&algorithm.as_str())) {
            let problem = format!("the issuer signs only with {signing:?}");
            let fix = format!("configure it to sign with one of {accepted:?}");
            self.find(Severity::Error, None, problem, fix);
        }
    }

    fn acr_values_are_published(&mut self) {
        let Some(known) = &self.published.acr_values else {
            if self.contract.endpoints().iter().any(asks_acr) {
                self.find(
                    Severity::Warning,
                    None,
                    "the issuer does not publish `acr_values_supported`".into(),
                    "check by hand that it supports the values that challenges request".into(),
                );
            }
            return;
        };
        // Values that an endpoint's challenge requests are checked with that endpoint.
        let requested: Vec<String> = self
            .contract
            .endpoints()
            .iter()
            .flat_map(|endpoint| self.profile.acr_values(&endpoint.requirement))
            .collect();
        let unknown = |value: &&str| {
            !known.iter().any(|known| known == value) && !requested.iter().any(|one| one == value)
        };
        let mut unknown: Vec<&str> = self.profile.named_values().filter(unknown).collect();
        unknown.sort_unstable();
        unknown.dedup();
        if !unknown.is_empty() {
            let problem = format!(
                "the profile names the acr values {unknown:?}, and the issuer publishes {known:?}"
            );
            let fix = "fix their spelling, or remove them".to_owned();
            self.find(Severity::Warning, None, problem, fix);
        }
    }

    fn endpoint(&mut self, endpoint: &Endpoint) {
        let requirement = &endpoint.requirement;
        if requirement.bound {
            self.dpop(endpoint);
        }
        if requirement.trust() == Trust::Standard {
            return;
        }
        if self.unprovable(endpoint) {
            return;
        }
        self.askable(endpoint);
        if requirement.max_age.is_some()
            && asks_acr(endpoint)
            && matches!(self.profile.challenge_dialect(), Dialect::EntraClaims { .. })
        {
            self.find(
                Severity::Warning,
                Some(endpoint),
                "Entra's claims challenge cannot request a more recent login".into(),
                "set a sign-in frequency in the Conditional Access policy of this authentication \
                 context"
                    .into(),
            );
        }
    }

    fn dpop(&mut self, endpoint: &Endpoint) {
        let (severity, problem) = match &self.published.dpop_algorithms {
            None => (
                Severity::Warning,
                "the issuer does not publish `dpop_signing_alg_values_supported`".to_owned(),
            ),
            Some(known) if !known.iter().any(|one| self.accepted.contains(&one.as_str())) => {
                (Severity::Error, format!("the issuer accepts only proofs signed with {known:?}"))
            }
            Some(_) => return,
        };
        let problem = format!("bound needs DPoP tokens, and {problem}");
        let fix = "configure it to issue them, or remove `bound`".to_owned();
        self.find(severity, Some(endpoint), problem, fix);
    }

    /// Whether no token could prove what the endpoint requires; if so, reports an error.
    fn unprovable(&mut self, endpoint: &Endpoint) -> bool {
        let Requirement { methods, any_methods, acr, .. } = &endpoint.requirement;
        let among =
            if acr.is_empty() { String::new() } else { format!(" among {acr:?} or higher") };
        let provable = |method: &Method| {
            self.profile.amr_can_prove(method) || self.proving(endpoint, method).next().is_some()
        };
        let mut missing: Vec<&Method> = methods.iter().filter(|one| !provable(one)).collect();
        if !any_methods.is_empty() && !any_methods.iter().any(provable) {
            missing.extend(any_methods);
        }
        if let Some(method) = missing.first() {
            let problem = format!("no claim in this issuer's tokens proves `{method}`{among}");
            let fix = format!(
                "if one of its acr values does, call .proves(\"…\", [the methods]) on the issuer \
                 (--proves …=…); otherwise require another method than `{method}`"
            );
            self.find(Severity::Error, Some(endpoint), problem, fix);
            return true;
        }
        if self.one_token_suffices(endpoint) {
            return false;
        }
        let names: Vec<String> = methods.iter().chain(any_methods).map(Method::to_string).collect();
        let problem =
            format!("a token has one acr, and no known acr proves all of {names:?}{among}");
        let fix = "if one does, call .proves(\"…\", [all of them]) on the issuer (--proves …=…); otherwise require \
                   fewer methods";
        self.find(Severity::Error, Some(endpoint), problem, fix.to_owned());
        true
    }

    /// Whether one token can prove everything that the endpoint requires.
    fn one_token_suffices(&self, endpoint: &Endpoint) -> bool {
        let Requirement { methods, any_methods, acr, .. } = &endpoint.requirement;
        let by = |value: Option<&str>, method: &Method| {
            let mut proving = self.proving(endpoint, method);
            self.profile.amr_can_prove(method) || proving.any(|known| Some(known) == value)
        };
        let satisfies = |value| {
            methods.iter().all(|method| by(value, method))
                && (any_methods.is_empty() || any_methods.iter().any(|method| by(value, method)))
        };
        let required = methods.iter().chain(any_methods);
        let mut values = required.flat_map(|method| self.proving(endpoint, method));
        self.profile.states_several_acr()
            || (acr.is_empty() && satisfies(None))
            || values.any(|value| satisfies(Some(value)))
            || acr.iter().any(|value| satisfies(Some(value)))
    }

    /// The acr values that prove a method and that the endpoint accepts.
    fn proving<'b>(
        &'b self,
        endpoint: &'b Endpoint,
        method: &'b Method,
    ) -> impl Iterator<Item = &'b str> {
        let acr = &endpoint.requirement.acr;
        let accepted = move |value: &&str| acr.is_empty() || self.profile.meets(value, acr);
        self.profile.acr_proving(method).filter(accepted)
    }

    /// Checks that the issuer supports what the challenge requests.
    fn askable(&mut self, endpoint: &Endpoint) {
        if !asks_acr(endpoint) {
            return;
        }
        let requirement = &endpoint.requirement;
        let requested = self.profile.acr_values(requirement);
        let mapped = !requirement.acr.is_empty()
            || requested
                .iter()
                .any(|value| self.profile.named_values().any(|known| known == value));
        let map = self.missing_ask(endpoint);
        match &self.published.acr_values {
            Some(known) => {
                let unknown: Vec<&String> =
                    requested.iter().filter(|value| !known.contains(value)).collect();
                if unknown.len() == requested.len() {
                    let problem = format!(
                        "the challenge requests acr_values {:?}, and the issuer publishes {known:?}",
                        requested.join(" ")
                    );
                    let fix = if mapped {
                        "configure the issuer to support one of them, or require another".to_owned()
                    } else {
                        map
                    };
                    self.find(Severity::Error, Some(endpoint), problem, fix);
                } else if !unknown.is_empty() {
                    let problem = format!("the issuer does not publish the acr values {unknown:?}");
                    let fix = "configure the issuer to support them, or remove them".to_owned();
                    self.find(Severity::Warning, Some(endpoint), problem, fix);
                }
            }
            None if !mapped => {
                let problem = format!(
                    "the profile has no acr value for the methods, so the challenge requests acr_values \
                     {:?}",
                    requested.join(" ")
                );
                self.find(Severity::Warning, Some(endpoint), problem, map);
            }
            None => {}
        }
    }

    /// How to request the endpoint's methods. Names the acr values that prove a method without being requested for it.
    fn missing_ask(&self, endpoint: &Endpoint) -> String {
        let Requirement { methods, any_methods, .. } = &endpoint.requirement;
        let proven = methods.iter().chain(any_methods).find_map(|method| {
            let acr = self.proving(endpoint, method).next()?;
            Some((method, acr))
        });
        match proven {
            Some((method, acr)) => format!(
                "the acr {acr:?} proves `{method}`, and nothing requests it; if users may step up to it, call \
                 .ask(…, [{acr:?}]) on the issuer (--ask {method}={acr})"
            ),
            None => "call .ask(Method::…, [\"the issuer's acr value\"]) on the issuer (--ask …=…)"
                .into(),
        }
    }

    /// Checks that the issuer's tokens have the claims that the contract's endpoints need. The published list may be
    /// incomplete, so a missing claim is only a warning.
    fn claims(&mut self) {
        let Some(known) = self.published.claims.clone() else { return };
        let profile = self.profile;
        let [amr, acr, auth_time] = profile.claim_paths();
        if self.published.backchannel_logout && !known.iter().any(|claim| claim == "sid") {
            let problem = "the issuer sends logouts, and its `claims_supported` does not list `sid`: a logout that names \
                           only a session would match no token";
            let fix = "make sure that its access tokens contain `sid`, or that its logout tokens contain `sub` only";
            self.find(Severity::Warning, None, problem.to_owned(), fix.to_owned());
        }
        for (path, needs) in [
            (amr, &needs_amr as &dyn Fn(&Profile, &Endpoint) -> bool),
            (acr, &|profile, endpoint| asks_acr(endpoint) && !needs_amr(profile, endpoint)),
            (auth_time, &|_, endpoint| endpoint.requirement.max_age.is_some()),
        ] {
            if known.iter().any(|claim| claim == path.first()) {
                continue;
            }
            let contract = self.contract;
            let endpoints = contract.endpoints().iter().filter(|endpoint| needs(profile, endpoint));
            let routes: Vec<String> = endpoints.map(|endpoint| contract.route(endpoint)).collect();
            if !routes.is_empty() {
                let problem = format!(
                    "the issuer's `claims_supported` does not list `{path}`, which {} needs",
                    routes.join(", ")
                );
                let fix = "make sure that its access tokens contain it".to_owned();
                self.find(Severity::Warning, None, problem, fix);
            }
        }
    }
}

/// Whether the endpoint's challenge has acr values.
fn asks_acr(endpoint: &Endpoint) -> bool {
    let requirement = &endpoint.requirement;
    !(requirement.methods.is_empty()
        && requirement.any_methods.is_empty()
        && requirement.acr.is_empty())
}

/// Whether only `amr` can prove a method of this endpoint.
fn needs_amr(profile: &Profile, endpoint: &Endpoint) -> bool {
    let by_acr = |method: &Method| profile.acr_proving(method).next().is_some();
    let requirement = &endpoint.requirement;
    !requirement.methods.iter().all(by_acr)
        || !(requirement.any_methods.is_empty() || requirement.any_methods.iter().any(by_acr))
}
