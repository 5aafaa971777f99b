//! The one handle, and how it is built.

use crate::clock::{Clock, SystemClock};
use crate::credential::Scheme;
use crate::dpop::{Dpop, Proofs};
use crate::enforce::unenforceable;
use crate::issuer::{Issuer, IssuerError, Trusted};
use crate::protected_resource::{Resource, ResourceError};
use crate::tokens::{TokenCache, Tokens};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use stepup_contract::collect::linked_base;
use stepup_contract::{Contract, Finding, Severity};
use thiserror::Error;

/// Everything that enforcement needs. Cheap to clone; a guard takes it from its router's state.
///
/// ```no_run
/// use stepup_runtime::{Issuer, StepUp};
///
/// # async fn start() -> Result<(), stepup_runtime::BuildError> {
/// let step_up = StepUp::builder()
///     .issuer(Issuer::new("https://login.bank.example", "https://api.bank.example"))
///     .build()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct StepUp(pub(crate) Arc<Inner>);

/// What the clones share.
pub(crate) struct Inner {
    pub(crate) tokens: Tokens,
    pub(crate) clock: Box<dyn Clock>,
    pub(crate) strict_routes: bool,
    pub(crate) resource_metadata: Option<Arc<str>>,
    pub(crate) resource: Option<Resource>,
    pub(crate) proofs: Option<Proofs>,
    /// The scheme that a caller without a token is told to use.
    pub(crate) scheme: Scheme,
    pub(crate) publish_contract: bool,
    allow_unsatisfiable: bool,
    /// The prefix of every route, from `service!(base = …)`.
    pub(crate) base: String,
    pub(crate) drifted: AtomicU64,
    contract: Option<Contract>,
}

impl StepUp {
    /// Begins to build one.
    pub fn builder() -> Builder {
        Builder {
            issuers: Vec::new(),
            clock: Box::new(SystemClock),
            strict_routes: false,
            resource_metadata: None,
            resource: None,
            dpop: Dpop::default(),
            publish_contract: false,
            allow_unsatisfiable: false,
            token_cache: TokenCache::default(),
            contract: None,
        }
    }

    /// The contract that was given to the builder.
    pub fn contract(&self) -> Option<&Contract> {
        self.0.contract.as_ref()
    }

    /// Checks that a contract can be enforced here and that every issuer whose users may step up can
    /// satisfy it, as the builder does with the contract that it is given.
    ///
    /// # Errors
    /// [`BuildError::Unenforceable`], or [`BuildError::Unsatisfiable`] unless the builder was told to
    /// allow that.
    pub fn check_contract(&self, contract: &Contract) -> Result<(), BuildError> {
        check_enforceable(contract, self.0.proofs.is_some())?;
        let mut issuers = self.0.tokens.issuers.iter();
        issuers.try_for_each(|issuer| check(issuer, contract, self.0.allow_unsatisfiable))
    }

    /// How many requests reached a guarded handler at another route than its attribute declares.
    pub fn drifted_requests(&self) -> u64 {
        self.0.drifted.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for StepUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issuers: Vec<&str> =
            self.0.tokens.issuers.iter().map(|issuer| issuer.name.as_str()).collect();
        f.debug_struct("StepUp").field("issuers", &issuers).finish_non_exhaustive()
    }
}

/// Builds a [`StepUp`].
#[must_use = "finish with .build().await"]
pub struct Builder {
    issuers: Vec<Issuer>,
    clock: Box<dyn Clock>,
    strict_routes: bool,
    resource_metadata: Option<String>,
    resource: Option<String>,
    dpop: Dpop,
    publish_contract: bool,
    allow_unsatisfiable: bool,
    token_cache: TokenCache,
    contract: Option<Contract>,
}

/// Why a [`StepUp`] cannot be built.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No issuer was given.
    #[error(
        "no issuer; say .issuer(Issuer::new(\"https://login.example\", \"https://api.example\"))"
    )]
    NoIssuer,
    /// An issuer was given twice.
    #[error("the issuer {0:?} was given twice; give one Issuer all its audiences")]
    IssuerTwice(String),
    /// An issuer cannot be used.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// The contract asks for something that this version cannot enforce.
    #[error("the contract cannot be enforced: {0}")]
    Unenforceable(String),
    /// Two issuers introspect opaque tokens, which do not say whose they are.
    #[error("{0:?} and {1:?} both introspect opaque tokens; only one issuer can")]
    TwoIntrospect(String, String),
    /// Proofs of DPoP have to be checked, and it is not known for what address they are made.
    #[error(
        "{0:?} demands DPoP, whose proofs are made for this API's address; say \
         .resource(\"https://api.example\") (--resource)"
    )]
    DpopWithoutResource(String),
    /// The contract is to be published, and there is none.
    #[error("publish_contract needs a contract; say .contract(Contract::collect()?)")]
    NothingToPublish,
    /// The API's address is none.
    #[error("the resource {0}")]
    Resource(#[from] ResourceError),
    /// An issuer cannot satisfy the contract.
    #[error(
        "the issuer {issuer:?} cannot satisfy the contract; mend it, or say \
         .allow_unsatisfiable(true) (--allow-unsatisfiable):\n{}", listed(.findings)
    )]
    Unsatisfiable {
        /// The issuer.
        issuer: String,
        /// What stands between it and the contract, each with its fix.
        findings: Vec<Finding>,
    },
    /// The metadata's address cannot stand in a challenge.
    #[error("the resource metadata's URL {0}")]
    ResourceMetadata(stepup_contract::TextError),
}

impl Builder {
    /// Accepts tokens of this issuer. Several issuers can be given.
    pub fn issuer(mut self, issuer: Issuer) -> Self {
        self.issuers.push(issuer);
        self
    }

    /// Takes the time from this clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Refuses a request that reaches a guarded handler at another route than its attribute
    /// declares. Without this it is logged once and counted.
    pub fn strict_routes(mut self, strict: bool) -> Self {
        self.strict_routes = strict;
        self
    }

    /// The address under which clients reach this API, as in `https://api.bank.example`: its
    /// identifier as a protected resource (RFC 9728 §1.2), and what DPoP proofs are made for. Where a
    /// proxy takes a prefix off the path, the prefix is part of it.
    pub fn resource(mut self, url: impl Into<String>) -> Self {
        self.resource = Some(url.into());
        self
    }

    /// How DPoP proofs are checked.
    pub fn dpop(mut self, dpop: Dpop) -> Self {
        self.dpop = dpop;
        self
    }

    /// Whether [`StepUp::metadata_routes`] serves the contract to everybody. Not unless this says
    /// so: it tells what every endpoint demands.
    pub fn publish_contract(mut self, publish: bool) -> Self {
        self.publish_contract = publish;
        self
    }

    /// Tells clients in every challenge where this API's metadata is (RFC 9728 §5.1), when it is not
    /// [`StepUp::metadata_routes`] that serves it.
    pub fn resource_metadata(mut self, url: impl Into<String>) -> Self {
        self.resource_metadata = Some(url.into());
        self
    }

    /// How many verified tokens are kept: 10,000 in 64 MiB unless given.
    pub fn token_cache(mut self, limits: TokenCache) -> Self {
        self.token_cache = limits;
        self
    }

    /// Whether to start although an issuer cannot satisfy the contract. What stands in the way is
    /// then logged. Without this it is an error.
    pub fn allow_unsatisfiable(mut self, allow: bool) -> Self {
        self.allow_unsatisfiable = allow;
        self
    }

    /// Checks at start that this contract can be enforced, and that every issuer whose users may
    /// step up can satisfy it; usually [`Contract::collect`]'s.
    pub fn contract(mut self, contract: Contract) -> Self {
        self.contract = Some(contract);
        self
    }

    /// Gets every issuer's keys and builds the handle.
    ///
    /// # Errors
    /// When there is no issuer, an issuer's keys cannot be had, or the contract asks for something
    /// that cannot be enforced.
    pub async fn build(self) -> Result<StepUp, BuildError> {
        let Self {
            issuers,
            clock,
            strict_routes,
            resource_metadata,
            resource,
            dpop,
            publish_contract,
            allow_unsatisfiable,
            token_cache,
            contract,
        } = self;
        if issuers.is_empty() {
            return Err(BuildError::NoIssuer);
        }
        for (index, issuer) in issuers.iter().enumerate() {
            if issuers[..index].iter().any(|other| other.name() == issuer.name()) {
                return Err(BuildError::IssuerTwice(issuer.name().to_owned()));
            }
        }
        let mut asked = issuers.iter().filter(|issuer| issuer.introspects());
        if let (Some(one), Some(two)) = (asked.next(), asked.next()) {
            return Err(BuildError::TwoIntrospect(one.name().to_owned(), two.name().to_owned()));
        }
        let resource = resource.as_deref().map(Resource::new).transpose()?;
        let proofs = resource.as_ref().map(|resource| Proofs::new(&resource.identifier, &dpop));
        if let Some(issuer) = issuers.iter().find(|issuer| issuer.needs_dpop() && proofs.is_none())
        {
            return Err(BuildError::DpopWithoutResource(issuer.name().to_owned()));
        }
        if publish_contract && contract.is_none() {
            return Err(BuildError::NothingToPublish);
        }
        if let Some(url) = &resource_metadata {
            stepup_contract::check_value(url).map_err(BuildError::ResourceMetadata)?;
        }
        // Before an issuer is waited for.
        contract.iter().try_for_each(|contract| check_enforceable(contract, proofs.is_some()))?;
        let all_bound = issuers.iter().all(Issuer::needs_dpop);
        let scheme = if all_bound { Scheme::Dpop } else { Scheme::Bearer };
        let mut trusted = Vec::with_capacity(issuers.len());
        for issuer in issuers {
            trusted.push(Arc::new(issuer.trust().await?));
        }
        let step_up = StepUp(Arc::new(Inner {
            tokens: Tokens::new(trusted, token_cache),
            clock,
            strict_routes,
            resource_metadata: resource_metadata.map(Into::into),
            resource,
            proofs,
            scheme,
            publish_contract,
            allow_unsatisfiable,
            base: linked_base().unwrap_or_default(),
            drifted: AtomicU64::new(0),
            contract,
        }));
        step_up.contract().map_or(Ok(()), |contract| step_up.check_contract(contract))?;
        Ok(step_up)
    }
}

/// Whether every endpoint can be enforced, where proofs of DPoP can be checked or cannot.
fn check_enforceable(contract: &Contract, proofs: bool) -> Result<(), BuildError> {
    let refused: Vec<String> = contract
        .endpoints()
        .iter()
        .filter_map(|endpoint| {
            let why = unenforceable(&endpoint.requirement, proofs)?;
            Some(format!("{}: {why}", endpoint.route()))
        })
        .collect();
    if refused.is_empty() { Ok(()) } else { Err(BuildError::Unenforceable(refused.join("; "))) }
}

/// Logs what stands between an issuer and the contract; errors are returned unless they are allowed.
fn check(issuer: &Trusted, contract: &Contract, allow: bool) -> Result<(), BuildError> {
    let (errors, warnings): (Vec<Finding>, Vec<Finding>) = issuer
        .findings(contract)
        .into_iter()
        .partition(|finding| finding.severity == Severity::Error && !allow);
    for finding in warnings {
        let Finding { endpoint, problem, fix, .. } = finding;
        tracing::warn!(
            issuer = issuer.name,
            endpoint,
            problem,
            fix,
            "this issuer may be unable to satisfy the contract"
        );
    }
    if errors.is_empty() {
        return Ok(());
    }
    Err(BuildError::Unsatisfiable { issuer: issuer.name.clone(), findings: errors })
}

fn listed(findings: &[Finding]) -> String {
    findings.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n")
}
