//! An issuer as the API sees it: its name, its audience, its keys, its vocabulary. Only an issuer's
//! own keys can verify its tokens.

use crate::algorithm::ACCEPTED;
use crate::http_client::checked_url;
use crate::introspection::Introspection;
use crate::introspector::Introspector;
use crate::jws::Jws;
use crate::keys::{Keys, Location, Renewal};
use crate::refusal::Cause;
use crate::token::{check_typ, names};
use crate::unmet::Warnings;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use stepup_contract::{Contract, Dialect, Finding, Method, Profile, check_value, findings};
use thiserror::Error;

/// An identity provider whose tokens are accepted.
///
/// ```
/// use stepup_runtime::{Issuer, Method};
///
/// let issuer = Issuer::new("https://login.bank.example", "https://api.bank.example")
///     .ask(Method::Mfa, ["urn:bank:acr:2fa-if-possible"])
///     .proves("urn:bank:acr:2fa", [Method::Mfa, Method::Otp]);
/// ```
#[derive(Debug, Clone)]
#[must_use = "give it to StepUp::builder().issuer(…)"]
pub struct Issuer {
    issuer: String,
    audiences: Vec<String>,
    audience_claim: String,
    location: Location,
    profile: Profile,
    untyped: bool,
    renewal: Renewal,
    introspection: Option<Introspection>,
    dpop_required: bool,
}

/// Ten years: longer than any program runs, and short enough to be added to a time.
pub(crate) const LONG: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Why an issuer cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// What the program says of it is wrong; trying again is in vain.
    #[error("issuer {issuer:?}: {why}")]
    Misconfigured {
        /// Its name.
        issuer: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// Its keys could not be had, now.
    #[error("issuer {issuer:?}: its keys could not be had: {why}")]
    Unavailable {
        /// Its name.
        issuer: String,
        /// Which address did not answer as it should, and how.
        why: String,
    },
}

impl Issuer {
    /// An issuer by its exact name, the `iss` of its tokens, and the `aud` that names this API. Its
    /// keys are found through OpenID Connect discovery unless [`Issuer::jwks_url`] or
    /// [`Issuer::jwks`] says otherwise.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audiences: vec![audience.into()],
            audience_claim: "aud".into(),
            location: Location::Discovery,
            profile: Profile::default(),
            untyped: false,
            renewal: Renewal::default(),
            introspection: None,
            dpop_required: false,
        }
    }

    /// Another `aud` that names this API too.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// The keys are at this URL.
    pub fn jwks_url(mut self, url: impl Into<String>) -> Self {
        self.location = Location::Url(url.into());
        self
    }

    /// The keys are in this key set (RFC 7517), as JSON text. They are never renewed.
    pub fn jwks(mut self, text: impl Into<String>) -> Self {
        self.location = Location::Given(text.into());
        self
    }

    /// Asks for `method` with these `acr_values`; see [`Profile::ask`].
    pub fn ask<V: Into<String>>(
        mut self,
        method: Method,
        acr_values: impl IntoIterator<Item = V>,
    ) -> Self {
        self.profile = self.profile.ask(method, acr_values);
        self
    }

    /// States that a token with this `acr` proves these methods; see [`Profile::proves`].
    pub fn proves(
        mut self,
        acr: impl Into<String>,
        methods: impl IntoIterator<Item = Method>,
    ) -> Self {
        self.profile = self.profile.proves(acr, methods);
        self
    }

    /// Whether two methods of different factor kinds count as `mfa`; see [`Profile::infer_mfa`].
    pub fn infer_mfa(mut self, infer: bool) -> Self {
        self.profile = self.profile.infer_mfa(infer);
        self
    }

    /// Whether this issuer's users may call sensitive endpoints; see [`Profile::may_step_up`].
    pub fn may_step_up(mut self, may: bool) -> Self {
        self.profile = self.profile.may_step_up(may);
        self
    }

    /// How many seconds the issuer's clock may be ahead of ours: 30 unless given, 300 at most. A
    /// token's end is never extended by it.
    pub fn clock_skew(mut self, seconds: u32) -> Self {
        self.profile = self.profile.clock_skew(seconds);
        self
    }

    /// Changes the vocabulary in what has no method of its own here:
    /// `.adjust(|profile| profile.amr_claim("https://bank.example/amr"))`.
    pub fn adjust(mut self, change: impl FnOnce(Profile) -> Profile) -> Self {
        self.profile = change(self.profile);
        self
    }

    /// Whether these claims name this API as their audience.
    pub fn is_audience_of(&self, claims: &Map<String, Value>) -> bool {
        names(claims.get(&self.audience_claim), &self.audiences).unwrap_or(false)
    }

    /// Whether this token has the form of one of the issuer's access tokens (RFC 9068 §4), as far as can be seen
    /// without its keys.
    ///
    /// # Errors
    /// When its header or its type is not one that is accepted.
    pub fn check_form(&self, token: &str) -> Result<(), Cause> {
        check_typ(&Jws::read(token)?, &self.issuer, self.untyped)
    }

    /// The claim that names the audience: `aud` unless given.
    pub fn audience_claim(mut self, claim: impl Into<String>) -> Self {
        self.audience_claim = claim.into();
        self
    }

    /// The whole vocabulary at once, in place of what was said before.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Accepts access tokens whose `typ` is `JWT` or missing, as many IdPs send them. Without this
    /// the `typ` must be `at+jwt` (RFC 9068 §4).
    ///
    /// Such a token must then have a claim that only access tokens have (`scope`, `scp`, `client_id`,
    /// `cid`, `appid`, `azpacr`, `appidacr`, or a claim that names its kind), and none that only ID tokens have.
    /// Give this API an audience of its own, which is no client's id: an ID token is for the client.
    pub fn allow_untyped_tokens(mut self, allow: bool) -> Self {
        self.untyped = allow;
        self
    }

    /// The shortest time between two fetches of the keys, whatever tokens come: 30 seconds unless
    /// given.
    pub fn key_refresh_cooldown(mut self, cooldown: Duration) -> Self {
        self.renewal.cooldown = cooldown.min(LONG);
        self
    }

    /// The longest time between two fetches of the keys: 10 minutes unless given. The issuer's
    /// `Cache-Control` may shorten it, down to the cooldown.
    pub fn key_refresh_interval(mut self, interval: Duration) -> Self {
        self.renewal.interval = interval.min(LONG);
        self
    }

    /// How long keys serve while the issuer cannot be heard: 24 hours unless given. After that its
    /// tokens are answered with 503.
    pub fn max_stale(mut self, max_stale: Duration) -> Self {
        self.renewal.max_stale = max_stale.min(LONG);
        self
    }

    /// Starts even when no key can be had yet; until one can, the issuer's tokens are answered with
    /// 503. Without this the program does not start.
    pub fn lazy(mut self) -> Self {
        self.renewal.lazy = true;
        self
    }

    /// Accepts opaque tokens of this issuer, and asks it what they say (RFC 7662). One issuer of a
    /// program can be asked, since an opaque token does not say whose it is.
    pub fn introspect(mut self, introspection: Introspection) -> Self {
        self.introspection = Some(introspection);
        self
    }

    /// Accepts only tokens of this issuer that are bound to a key and shown with a proof of it (DPoP,
    /// RFC 9449). Bound tokens need their proof without this as well.
    pub fn dpop_required(mut self) -> Self {
        self.dpop_required = true;
        self
    }

    /// Asks the issuer what it can do, and tells what stands between it and this contract. A program
    /// that gives its contract to the builder has this checked at its start.
    ///
    /// # Errors
    /// When the issuer cannot be used at all, as it is said or as it answers.
    pub async fn check(&self, contract: &Contract) -> Result<Vec<Finding>, IssuerError> {
        Ok(self.clone().trust().await?.findings(contract))
    }

    /// Whether opaque tokens are taken to be this issuer's.
    pub(crate) fn introspects(&self) -> bool {
        self.introspection.is_some()
    }

    /// Whether proofs have to be checked for its tokens.
    pub(crate) fn needs_dpop(&self) -> bool {
        self.dpop_required
    }

    /// The issuer's name.
    pub(crate) fn name(&self) -> &str {
        &self.issuer
    }

    /// Checks everything that was said and gets the keys.
    pub(crate) async fn trust(self) -> Result<Trusted, IssuerError> {
        let Self {
            issuer,
            audiences,
            audience_claim,
            location,
            profile,
            untyped,
            renewal,
            introspection,
            dpop_required,
        } = self;
        let wrong = |why: String| IssuerError::Misconfigured { issuer: issuer.clone(), why };
        match &location {
            Location::Discovery => checked_url(&issuer).map(drop),
            Location::Url(url) => checked_url(url).map(drop),
            Location::Given(_) => Ok(()),
        }
        .map_err(|why| wrong(why.to_string()))?;
        if issuer.is_empty() {
            return Err(wrong("the name is empty; give the exact `iss` of its tokens".into()));
        }
        if audiences.iter().any(String::is_empty) {
            return Err(wrong("the audience is empty; give the `aud` that names this API".into()));
        }
        for value in profile.asked_values() {
            check_value(value).map_err(|why| wrong(format!("the acr value {value:?} {why}")))?;
        }
        if let Dialect::EntraClaims { authorization_uri } = profile.challenge_dialect() {
            check_value(authorization_uri)
                .map_err(|why| wrong(format!("the authorization_uri {why}")))?;
        }
        let levels = profile.acr_levels();
        for (index, level) in levels.iter().enumerate() {
            if level.is_empty() || level == "0" || levels[..index].contains(level) {
                return Err(wrong(format!(
                    "the acr order names {level:?}, which is no level or stands twice"
                )));
            }
        }
        if profile.skew() > 300 {
            return Err(wrong(
                "a clock skew of more than 300 seconds weakens every max_age".into(),
            ));
        }
        let given = matches!(location, Location::Given(_));
        let keys = Keys::load(&issuer, location, renewal).await.map_err(|why| {
            let why = why.to_string();
            match given {
                true => wrong(format!("the keys that were given: {why}")),
                false => IssuerError::Unavailable { issuer: issuer.clone(), why },
            }
        })?;
        let introspector = introspection
            .map(|introspection| Introspector::new(&issuer, introspection))
            .transpose()
            .map_err(wrong)?;
        let lazy = renewal.lazy;
        let trusted = Trusted {
            name: issuer.clone(),
            audiences,
            audience_claim,
            profile,
            untyped,
            keys,
            introspector,
            dpop_required,
            unmet: Warnings::default(),
        };
        if let Some(introspector) = &trusted.introspector
            && !introspector.has_endpoint(&trusted)
            && !(lazy && trusted.keys.metadata().is_none())
        {
            return Err(wrong(
                "its discovery document names no introspection_endpoint; give \
                 Introspection::endpoint the URL"
                    .into(),
            ));
        }
        Ok(trusted)
    }
}

/// An issuer with its keys at hand.
#[derive(Debug)]
pub(crate) struct Trusted {
    pub(crate) name: String,
    pub(crate) audiences: Vec<String>,
    pub(crate) audience_claim: String,
    pub(crate) profile: Profile,
    /// Whether `typ` may be `JWT` or missing.
    pub(crate) untyped: bool,
    pub(crate) keys: Arc<Keys>,
    pub(crate) introspector: Option<Introspector>,
    pub(crate) dpop_required: bool,
    /// That a step-up was done and not enough.
    pub(crate) unmet: Warnings,
}

impl Trusted {
    /// What stands between this issuer and a contract.
    pub(crate) fn findings(&self, contract: &Contract) -> Vec<Finding> {
        let metadata = self.keys.metadata();
        let published = metadata.as_ref().map(|metadata| &metadata.published);
        findings(contract, &self.profile, published, &ACCEPTED.map(|algorithm| algorithm.0))
    }

    /// Whether an introspected token need not name its audience.
    pub(crate) fn audience_optional(&self) -> bool {
        self.introspector.as_ref().is_some_and(Introspector::audience_optional)
    }
}
