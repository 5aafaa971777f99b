//! How a program configures an issuer: its name, audiences, keys and vocabulary.

use crate::issuer::key_store::{KeySource, KeyStore, RefreshPolicy};
use crate::issuer::trusted::TrustedIssuer;
use crate::jose::jws::Jws;
use crate::refusal::TokenError;
use crate::support::error_chain::ErrorChain;
use crate::support::http_client::checked_url;
use crate::support::log_limit::LogLimit;
use crate::token::claims::{check_typ, names_audience};
use crate::token::introspection::client::{IntrospectionSetupError, Introspector};
use crate::token::introspection::options::Introspection;
use serde_json::{Map, Value};
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use stepup_contract::{Contract, Dialect, Finding, Method, Profile, check_value};
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
#[must_use = "pass it to StepUp::builder().issuer(…)"]
pub struct Issuer {
    issuer: String,
    audiences: Vec<String>,
    audience_claim: String,
    key_source: KeySource,
    profile: Profile,
    untyped: bool,
    refresh: RefreshPolicy,
    introspection: Option<Introspection>,
    dpop_required: bool,
    /// In PEM.
    ca_certificates: Vec<u8>,
}

/// The upper limit of configured durations. Longer than any program runs, and short enough to be added to a time
/// without overflow.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Why an issuer cannot be used.
#[derive(Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// The configuration is wrong; another attempt cannot succeed.
    #[error("issuer {issuer:?}: {reason}")]
    Misconfigured {
        /// The issuer's name.
        issuer: String,
        /// What is wrong, and how to fix it.
        reason: String,
    },
    /// The configured keys cannot be used; another attempt cannot succeed.
    #[error("issuer {issuer:?}: the configured keys cannot be used")]
    Keys {
        /// The issuer's name.
        issuer: String,
        /// What is wrong with the keys.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Introspection cannot be set up; another attempt cannot succeed.
    #[error("issuer {issuer:?}: introspection cannot be set up")]
    Introspection {
        /// The issuer's name.
        issuer: String,
        /// What is wrong with its configuration.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The issuer's keys are unavailable now.
    #[error("issuer {issuer:?}: its keys could not be loaded")]
    Unavailable {
        /// The issuer's name.
        issuer: String,
        /// Which address failed, and how.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl fmt::Debug for IssuerError {
    /// The message with its causes, because `main` prints a returned error in its `Debug` form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", ErrorChain(self))
    }
}

impl Issuer {
    /// An issuer by its exact name, the `iss` of its tokens, and the `aud` that names this API. Its keys are found
    /// through OpenID Connect discovery, unless [`Issuer::jwks_url`] or [`Issuer::jwks`] is called.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audiences: vec![audience.into()],
            audience_claim: "aud".into(),
            key_source: KeySource::Discovery,
            profile: Profile::default(),
            untyped: false,
            refresh: RefreshPolicy::default(),
            introspection: None,
            dpop_required: false,
            ca_certificates: Vec::new(),
        }
    }

    /// Adds another `aud` that names this API.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// Sets the URL of the key set.
    pub fn jwks_url(mut self, url: impl Into<String>) -> Self {
        self.key_source = KeySource::Url(url.into());
        self
    }

    /// Sets the key set (RFC 7517) as JSON text. These keys are never refreshed.
    pub fn jwks(mut self, text: impl Into<String>) -> Self {
        self.key_source = KeySource::Text(text.into());
        self
    }

    /// Sets the `acr_values` that request `method`; see [`Profile::ask`].
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

    /// Whether two methods of different factor types count as `mfa`; see [`Profile::infer_mfa`].
    pub fn infer_mfa(mut self, infer: bool) -> Self {
        self.profile = self.profile.infer_mfa(infer);
        self
    }

    /// Whether this issuer's users may call sensitive endpoints; see [`Profile::may_step_up`].
    pub fn may_step_up(mut self, may: bool) -> Self {
        self.profile = self.profile.may_step_up(may);
        self
    }

    /// How many seconds the issuer's clock may be ahead of this API's: 30 by default, at most 300. The skew never
    /// extends a token's lifetime.
    pub fn clock_skew(mut self, seconds: u32) -> Self {
        self.profile = self.profile.clock_skew(seconds);
        self
    }

    /// Changes the parts of the vocabulary that have no method of their own here:
    /// `.adjust(|profile| profile.amr_claim("https://bank.example/amr"))`.
    pub fn adjust(mut self, change: impl FnOnce(Profile) -> Profile) -> Self {
        self.profile = change(self.profile);
        self
    }

    /// Whether these claims name this API as their audience.
    pub fn is_audience_of(&self, claims: &Map<String, Value>) -> bool {
        names_audience(claims.get(&self.audience_claim), &self.audiences).unwrap_or(false)
    }

    /// Checks that this token has the form of one of the issuer's access tokens (RFC 9068 §4), as far as that is
    /// visible without the issuer's keys.
    ///
    /// # Errors
    /// Why the token's header or type is not accepted.
    pub fn check_form(&self, token: &str) -> Result<(), TokenError> {
        check_typ(&Jws::parse(token)?, &self.issuer, self.untyped)
    }

    /// Also trusts these certificate authorities (PEM, one or more) when the issuer is contacted: for an issuer inside a
    /// company, whose certificate no public authority has signed.
    pub fn ca_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_certificates = pem.into();
        self
    }

    /// Sets the claim that names the audience: `aud` by default.
    pub fn audience_claim(mut self, claim: impl Into<String>) -> Self {
        self.audience_claim = claim.into();
        self
    }

    /// Replaces the whole vocabulary.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Accepts access tokens whose `typ` is `JWT` or missing, as many providers send them. By default the `typ` must be
    /// `at+jwt` (RFC 9068 §4).
    ///
    /// Such a token must have a claim that only access tokens have (`scope`, `scp`, `client_id`, `cid`, `appid`,
    /// `azpacr`, `appidacr`, or a claim that names its kind), and none that only ID tokens have. Give this API an
    /// audience that is not the id of a client: the audience of an ID token is its client.
    pub fn allow_untyped_tokens(mut self, allow: bool) -> Self {
        self.untyped = allow;
        self
    }

    /// The shortest time between two fetches of the keys, whatever tokens arrive: 30 seconds by default.
    pub fn key_refresh_cooldown(mut self, cooldown: Duration) -> Self {
        self.refresh.cooldown = cooldown.min(LONGEST);
        self
    }

    /// The longest time between two fetches of the keys: 10 minutes by default. The issuer's `Cache-Control` may
    /// shorten it, down to the cooldown.
    pub fn key_refresh_interval(mut self, interval: Duration) -> Self {
        self.refresh.interval = interval.min(LONGEST);
        self
    }

    /// How long keys stay in use while the issuer is unreachable: 24 hours by default. After that, its tokens are
    /// refused with 503.
    pub fn max_stale(mut self, max_stale: Duration) -> Self {
        self.refresh.max_stale = max_stale.min(LONGEST);
        self
    }

    /// Starts the program even if no key can be loaded yet; until then, the issuer's tokens are refused with 503. By
    /// default the program does not start.
    pub fn lazy(mut self) -> Self {
        self.refresh.lazy = true;
        self
    }

    /// Accepts opaque tokens of this issuer, and introspects them (RFC 7662). Only one issuer of a program can
    /// introspect, because an opaque token does not name its issuer.
    pub fn introspect(mut self, introspection: Introspection) -> Self {
        self.introspection = Some(introspection);
        self
    }

    /// Accepts only tokens of this issuer that are bound to a key and presented with a proof of the key (DPoP, RFC
    /// 9449). Bound tokens need their proof without this setting as well.
    pub fn dpop_required(mut self) -> Self {
        self.dpop_required = true;
        self
    }

    /// Queries the issuer's capabilities and returns what prevents it from satisfying this contract. A program that
    /// passes its contract to the builder has this checked at its start.
    ///
    /// # Errors
    /// If the issuer cannot be used at all, because of its configuration or its responses.
    pub async fn check(&self, contract: &Contract) -> Result<Vec<Finding>, IssuerError> {
        Ok(self.clone().connect().await?.0.findings(contract))
    }

    /// Whether opaque tokens are attributed to this issuer.
    pub(crate) fn introspects(&self) -> bool {
        self.introspection.is_some()
    }

    /// Whether all of its tokens must be bound.
    pub(crate) fn requires_dpop(&self) -> bool {
        self.dpop_required
    }

    /// The issuer's name.
    pub(crate) fn name(&self) -> &str {
        &self.issuer
    }

    /// Checks the configuration and loads the keys.
    pub(crate) async fn connect(
        self,
    ) -> Result<(Arc<TrustedIssuer>, Option<Introspector>), IssuerError> {
        let name = self.issuer.clone();
        self.validate()
            .map_err(|reason| IssuerError::Misconfigured { issuer: name.clone(), reason })?;
        let Self {
            issuer,
            audiences,
            audience_claim,
            key_source,
            profile,
            untyped,
            refresh,
            introspection,
            dpop_required,
            ca_certificates,
        } = self;
        let configured = matches!(key_source, KeySource::Text(_));
        let keys = KeyStore::load(&issuer, key_source, refresh, &ca_certificates).await.map_err(
            |error| {
                let (issuer, source) = (issuer.clone(), error.into());
                match configured {
                    true => IssuerError::Keys { issuer, source },
                    false => IssuerError::Unavailable { issuer, source },
                }
            },
        )?;
        let trusted = Arc::new(TrustedIssuer {
            name: issuer,
            audiences,
            audience_claim,
            profile,
            untyped,
            keys,
            dpop_required,
            step_up_warnings: LogLimit::default(),
        });
        let introspector = introspection.map(|options| {
            let introspector = Introspector::new(Arc::clone(&trusted), options, &ca_certificates)?;
            // A lazy issuer that is unreachable may still name its endpoint later.
            if !(refresh.lazy && trusted.keys.metadata().is_none()) {
                introspector.check_endpoint()?;
            }
            Ok(introspector)
        });
        let introspector = introspector.transpose().map_err(|error: IntrospectionSetupError| {
            IssuerError::Introspection { issuer: name, source: error.into() }
        })?;
        Ok((trusted, introspector))
    }

    /// What is wrong with the configuration, and how to fix it.
    fn validate(&self) -> Result<(), String> {
        let url = match &self.key_source {
            KeySource::Discovery => Some(&self.issuer),
            KeySource::Url(url) => Some(url),
            KeySource::Text(_) => None,
        };
        if let Some(url) = url {
            checked_url(url).map_err(|error| error.to_string())?;
        }
        if self.issuer.is_empty() {
            return Err("the name is empty; pass the exact `iss` of its tokens".into());
        }
        if self.audiences.iter().any(String::is_empty) {
            return Err("the audience is empty; pass the `aud` that names this API".into());
        }
        for value in self.profile.named_values() {
            check_value(value).map_err(|error| format!("the acr value {value:?} {error}"))?;
        }
        if let Dialect::EntraClaims { authorization_uri } = self.profile.challenge_dialect() {
            check_value(authorization_uri)
                .map_err(|error| format!("the authorization_uri {error}"))?;
        }
        let levels = self.profile.acr_levels();
        for (index, level) in levels.iter().enumerate() {
            if level.is_empty() || level == "0" || levels[..index].contains(level) {
                return Err(format!(
                    "the acr order contains {level:?}, which is not a level or is a duplicate"
                ));
            }
        }
        if self.profile.skew() > 300 {
            return Err("a clock skew of more than 300 seconds weakens every max_age".into());
        }
        Ok(())
    }
}
