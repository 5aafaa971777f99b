//! The one handle, and how it is built.

use crate::clock::{Clock, SystemClock};
use crate::enforce::unenforceable;
use crate::issuer::{Issuer, IssuerError};
use crate::tokens::{TokenCache, Tokens};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use stepup_contract::Contract;
use stepup_contract::collect::linked_base;
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
            token_cache: TokenCache::default(),
            contract: None,
        }
    }

    /// The contract that was given to the builder.
    pub fn contract(&self) -> Option<&Contract> {
        self.0.contract.as_ref()
    }

    /// How many requests reached a guarded handler at another route than its attribute declares.
    pub fn drifted_requests(&self) -> u64 {
        self.0.drifted.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for StepUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issuers: Vec<&str> = self.0.tokens.issuers.iter().map(|issuer| issuer.name.as_str()).collect();
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

    /// Tells clients in every challenge where this API's metadata is (RFC 9728 §5.1).
    pub fn resource_metadata(mut self, url: impl Into<String>) -> Self {
        self.resource_metadata = Some(url.into());
        self
    }

    /// How many verified tokens are kept: 10,000 in 64 MiB unless given.
    pub fn token_cache(mut self, limits: TokenCache) -> Self {
        self.token_cache = limits;
        self
    }

    /// Checks at start that this contract can be enforced; usually [`Contract::collect`]'s.
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
        let Self { issuers, clock, strict_routes, resource_metadata, token_cache, contract } =
            self;
        if issuers.is_empty() {
            return Err(BuildError::NoIssuer);
        }
        for (index, issuer) in issuers.iter().enumerate() {
            if issuers[..index].iter().any(|other| other.name() == issuer.name()) {
                return Err(BuildError::IssuerTwice(issuer.name().to_owned()));
            }
        }
        if let Some(url) = &resource_metadata {
            stepup_contract::check_value(url).map_err(BuildError::ResourceMetadata)?;
        }
        let endpoints = contract.iter().flat_map(Contract::endpoints);
        let refused: Vec<String> = endpoints
            .filter_map(|endpoint| {
                let why = unenforceable(&endpoint.requirement)?;
                Some(format!("{}: {why}", endpoint.route()))
            })
            .collect();
        if !refused.is_empty() {
            return Err(BuildError::Unenforceable(refused.join("; ")));
        }
        let mut trusted = Vec::with_capacity(issuers.len());
        for issuer in issuers {
            trusted.push(Arc::new(issuer.trust().await?));
        }
        Ok(StepUp(Arc::new(Inner {
            tokens: Tokens::new(trusted, token_cache),
            clock,
            strict_routes,
            resource_metadata: resource_metadata.map(Into::into),
            base: linked_base().unwrap_or_default(),
            drifted: AtomicU64::new(0),
            contract,
        })))
    }
}
