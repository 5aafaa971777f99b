//! Builds a `StepUp`: checks the configuration, connects the issuers, and checks the contract.

use crate::config::build_error::BuildError;
use crate::config::issuer::Issuer;
use crate::dpop::options::Dpop;
use crate::dpop::proof::ProofVerifier;
use crate::enforcement::allowed_origins::AllowedOrigins;
use crate::enforcement::enforceability::{Capabilities, unenforceable};
use crate::enforcement::protected_resource::ProtectedResource;
use crate::enforcement::risk_source::{LimitedRiskSource, RiskSource};
use crate::enforcement::step_up::{Inner, StepUp};
use crate::issuer::trusted::TrustedIssuer;
use crate::refusal::Scheme;
use crate::request::credential::TokenPlaces;
use crate::request::limits::RequestLimits;
use crate::session::log::SessionsError;
use crate::session::sessions::Sessions;
use crate::session::store::SessionStore;
use crate::signal::receiver::SignalReceiver;
use crate::signal::transmitter::Transmitter;
use crate::support::clock::{Clock, SystemClock};
use crate::token::cache::TokenCache;
use crate::token::verifier::TokenVerifier;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use stepup_contract::collect::linked_base;
use stepup_contract::{Contract, Finding, RiskLevel, Severity};
use tokio::runtime::Handle;

/// Builds a [`StepUp`].
#[must_use = "finish with .build().await"]
pub struct Builder {
    issuers: Vec<Issuer>,
    clock: Arc<dyn Clock>,
    sessions: Option<Sessions>,
    risk_source: Option<LimitedRiskSource>,
    transmitters: Vec<Transmitter>,
    logout_audiences: Vec<String>,
    strict_routes: bool,
    resource_metadata: Option<String>,
    resource: Option<String>,
    dpop: Dpop,
    publish_contract: bool,
    allow_unsatisfiable: bool,
    token_cache: TokenCache,
    limits: RequestLimits,
    token_places: TokenPlaces,
    allowed_origins: Vec<String>,
    contract: Option<Contract>,
}

impl StepUp {
    /// Starts to build a handle.
    pub fn builder() -> Builder {
        Builder {
            issuers: Vec::new(),
            clock: Arc::new(SystemClock),
            sessions: None,
            risk_source: None,
            transmitters: Vec::new(),
            logout_audiences: Vec::new(),
            strict_routes: false,
            resource_metadata: None,
            resource: None,
            dpop: Dpop::default(),
            publish_contract: false,
            allow_unsatisfiable: false,
            token_cache: TokenCache::default(),
            limits: RequestLimits::default(),
            token_places: TokenPlaces::Authorization,
            allowed_origins: Vec::new(),
            contract: None,
        }
    }

    /// Checks that this handle can enforce a contract, and that every issuer whose users may step up can satisfy it.
    /// The builder does the same with the contract that is passed to it.
    ///
    /// # Errors
    /// [`BuildError::Unenforceable`], or [`BuildError::Unsatisfiable`] unless the builder allows that.
    pub fn check_contract(&self, contract: &Contract) -> Result<(), BuildError> {
        check_enforceable(contract, self.capabilities())?;
        let mut issuers = self.0.verifier.issuers().iter();
        issuers
            .try_for_each(|issuer| check_satisfiable(issuer, contract, self.0.allow_unsatisfiable))
    }
}

impl Builder {
    /// Accepts tokens of this issuer. There can be several issuers.
    pub fn issuer(mut self, issuer: Issuer) -> Self {
        self.issuers.push(issuer);
        self
    }

    /// Takes the time from this clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Refuses a request that reaches a guarded handler at another route than its attribute declares. By default,
    /// such a request is logged once per handler and counted.
    pub fn strict_routes(mut self, strict: bool) -> Self {
        self.strict_routes = strict;
        self
    }

    /// The address under which clients reach this API, as in `https://api.bank.example`: its identifier as a protected
    /// resource (RFC 9728 §1.2), and the address that DPoP proofs must be made for. If a proxy removes a prefix from
    /// the path, the prefix is part of the address.
    pub fn resource(mut self, url: impl Into<String>) -> Self {
        self.resource = Some(url.into());
        self
    }

    /// Sets how DPoP proofs are checked.
    pub fn dpop(mut self, dpop: Dpop) -> Self {
        self.dpop = dpop;
        self
    }

    /// Whether `StepUp::metadata_routes` also serves the contract, to everyone: by default it does not, because the
    /// contract discloses what every endpoint requires.
    pub fn publish_contract(mut self, publish: bool) -> Self {
        self.publish_contract = publish;
        self
    }

    /// Puts the address of this API's metadata into every challenge (RFC 9728 §5.1), if something other than
    /// `StepUp::metadata_routes` serves the metadata. If its path starts with `/.well-known/oauth-protected-resource`,
    /// everybody may read that path on this API.
    pub fn resource_metadata(mut self, url: impl Into<String>) -> Self {
        self.resource_metadata = Some(url.into());
        self
    }

    /// Enforces what happened to sessions and accounts after their tokens were issued: revocations, required
    /// reauthentications, locks, disabled accounts and risk. Needed for endpoints with `risk`.
    ///
    /// The notices are loaded before the handle is built. Tokens without `sid` are covered only by notices about their
    /// subject.
    pub fn sessions(mut self, sessions: Sessions) -> Self {
        self.sessions = Some(sessions);
        self
    }

    /// Asks the application for the risk of each request to an endpoint with `risk`. If the source fails, or takes longer
    /// than the time limit, the request counts as `on_failure`, or without it as the endpoint's `step_up` level, else its `deny` level. Needs
    /// [`sessions`](Self::sessions).
    pub fn risk_source(
        mut self,
        source: impl RiskSource,
        time_limit: Duration,
        on_failure: Option<RiskLevel>,
    ) -> Self {
        self.risk_source =
            Some(LimitedRiskSource { source: Arc::new(source), time_limit, on_failure });
        self
    }

    /// Accepts back-channel logouts that an issuer sends to this client (OpenID Connect Back-Channel Logout 1.0): a logout
    /// token names the client as its audience, not the API. Call it for each client. Needs [`sessions`](Self::sessions);
    /// mount [`StepUp::signal_routes`].
    pub fn logout_audience(mut self, client_id: impl Into<String>) -> Self {
        self.logout_audiences.push(client_id.into());
        self
    }

    /// Accepts security events that this transmitter pushes (OpenID Shared Signals Framework). Call it for each transmitter.
    /// Needs [`sessions`](Self::sessions); mount [`StepUp::signal_routes`].
    pub fn transmitter(mut self, transmitter: Transmitter) -> Self {
        self.transmitters.push(transmitter);
        self
    }

    /// Limits the cache of verified tokens: 10,000 tokens in 64 MiB by default.
    pub fn token_cache(mut self, limits: TokenCache) -> Self {
        self.token_cache = limits;
        self
    }

    /// Limits the length of tokens and targets: 16 KiB and 8 KiB by default.
    pub fn request_limits(mut self, limits: RequestLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Also accepts a token as the subprotocol `step-up.bearer.…` of a WebSocket, because a page cannot set
    /// `Authorization` when it opens one: `new WebSocket(url, ["bank.v1", "step-up.bearer." + token])`. The service must
    /// select its own subprotocol. False by default: the service, and every log of `Sec-WebSocket-Protocol`, gets the
    /// token.
    pub fn websocket_tokens(mut self, allow: bool) -> Self {
        self.token_places = match allow {
            true => TokenPlaces::AuthorizationOrWebSocket,
            false => TokenPlaces::Authorization,
        };
        self
    }

    /// Lets web pages of this origin, such as `https://app.bank.example`, read refusals (CORS). Without it, a page of
    /// another origin gets an error instead of the challenge, unless a CORS layer runs outside of the guards and of
    /// [`StepUp::protect`]. Call it for each origin. It does not answer preflights: allow the request headers
    /// `Authorization`, `DPoP`, `Step-Up-Attempt` and `Step-Up-Action` in your CORS layer.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.allowed_origins.push(origin.into());
        self
    }

    /// Starts even if an issuer cannot satisfy the contract, and logs the reason. By default this is an error.
    pub fn allow_unsatisfiable(mut self, allow: bool) -> Self {
        self.allow_unsatisfiable = allow;
        self
    }

    /// Checks at start that this contract can be enforced, and that every issuer whose users may step up can satisfy
    /// it. Usually [`Contract::collect`]'s.
    pub fn contract(mut self, contract: Contract) -> Self {
        self.contract = Some(contract);
        self
    }

    /// Loads every issuer's keys and builds the handle.
    ///
    /// # Errors
    /// If the configuration is invalid, an issuer's keys are unavailable, or the contract cannot be enforced or
    /// satisfied.
    pub async fn build(self) -> Result<StepUp, BuildError> {
        check_issuers(&self.issuers)?;
        let resource = self.resource.as_deref().map(ProtectedResource::new).transpose()?;
        let proofs = resource
            .as_ref()
            .map(|resource| Arc::new(ProofVerifier::new(&resource.identifier, &self.dpop)));
        let unchecked = self.issuers.iter().find(|issuer| issuer.requires_dpop());
        if let (Some(issuer), None) = (unchecked, &proofs) {
            return Err(BuildError::DpopWithoutResource(issuer.name().to_owned()));
        }
        let allowed_origins = AllowedOrigins::parse(&self.allowed_origins)?;
        if self.publish_contract && self.contract.is_none() {
            return Err(BuildError::NothingToPublish);
        }
        if let Some(url) = &self.resource_metadata {
            stepup_contract::check_value(url).map_err(BuildError::ResourceMetadata)?;
        }
        if self.sessions.is_none()
            && (!self.transmitters.is_empty() || !self.logout_audiences.is_empty())
        {
            return Err(SessionsError::NotConfigured.into());
        }
        // Checked before the issuers are contacted, so that this error comes at once.
        if let Some(contract) = &self.contract {
            let sessions = self.sessions.is_some();
            check_enforceable(contract, Capabilities { proofs: proofs.is_some(), sessions })?;
        }
        let names: Vec<String> =
            self.issuers.iter().map(|issuer| issuer.name().to_owned()).collect();
        let default_scheme = Scheme::for_binding(self.issuers.iter().all(Issuer::requires_dpop));
        let mut trusted = Vec::with_capacity(self.issuers.len());
        let mut introspector = None;
        for issuer in self.issuers {
            let (issuer, introspects) = issuer.connect().await?;
            trusted.push(issuer);
            introspector = introspector.or(introspects);
        }
        let sessions = match &self.sessions {
            Some(sessions) => Some(SessionStore::start(sessions, Arc::clone(&self.clock)).await?),
            None => None,
        };
        let mut transmitters = Vec::with_capacity(self.transmitters.len());
        for transmitter in self.transmitters {
            transmitters.push(transmitter.for_issuers(&names).connect().await?);
        }
        let signals = SignalReceiver {
            transmitters,
            logout_audiences: self.logout_audiences,
            unreadable: AtomicU64::new(0),
            mounted: AtomicBool::new(false),
        };
        let step_up = StepUp(Arc::new(Inner {
            verifier: TokenVerifier::new(trusted, introspector, self.token_cache),
            clock: self.clock,
            sessions,
            risk: self.risk_source,
            signals,
            session_routes_mounted: AtomicBool::new(false),
            limits: self.limits,
            token_places: self.token_places,
            allowed_origins,
            proofs,
            default_scheme,
            strict_routes: self.strict_routes,
            resource,
            resource_metadata: self.resource_metadata.map(Into::into),
            publish_contract: self.publish_contract,
            allow_unsatisfiable: self.allow_unsatisfiable,
            base: linked_base().unwrap_or_default(),
            drifted: AtomicU64::new(0),
            contract: self.contract,
            contract_enforced: AtomicBool::new(false),
        }));
        if let Some(contract) = step_up.contract() {
            step_up.check_contract(contract)?;
            warn_unless_enforced(&step_up);
        }
        Ok(step_up)
    }
}

/// The time that a program has, after the handle was built, to protect its router.
const STARTING: Duration = Duration::from_secs(1);

/// Warns if nothing enforces the contract as a whole: a handler without the attribute is then open to everybody.
fn warn_unless_enforced(step_up: &StepUp) {
    // Without a runtime there is no server either.
    let Ok(runtime) = Handle::try_current() else { return };
    let inner = Arc::downgrade(&step_up.0);
    runtime.spawn(async move {
        tokio::time::sleep(STARTING).await;
        if inner.upgrade().is_some_and(|inner| !inner.contract_enforced.load(Ordering::Relaxed)) {
            tracing::warn!(
                "a handler without #[step_up] is open to everybody, because only guards enforce the contract; write \
                 step_up.protect(router) around the whole router"
            );
        }
    });
}

/// Checks that there are issuers, all different, of which at most one introspects.
fn check_issuers(issuers: &[Issuer]) -> Result<(), BuildError> {
    if issuers.is_empty() {
        return Err(BuildError::NoIssuer);
    }
    for (index, issuer) in issuers.iter().enumerate() {
        if issuers[..index].iter().any(|other| other.name() == issuer.name()) {
            return Err(BuildError::DuplicateIssuer(issuer.name().to_owned()));
        }
    }
    let mut introspecting = issuers.iter().filter(|issuer| issuer.introspects());
    if let (Some(one), Some(two)) = (introspecting.next(), introspecting.next()) {
        return Err(BuildError::TwoIntrospect(one.name().to_owned(), two.name().to_owned()));
    }
    Ok(())
}

/// Checks that every endpoint can be enforced.
fn check_enforceable(contract: &Contract, capabilities: Capabilities) -> Result<(), BuildError> {
    let refused: Vec<String> = contract
        .endpoints()
        .iter()
        .filter_map(|endpoint| {
            let reason = unenforceable(&endpoint.requirement, capabilities)?;
            Some(format!("{}: {reason}", endpoint.route()))
        })
        .collect();
    if refused.is_empty() { Ok(()) } else { Err(BuildError::Unenforceable(refused.join("; "))) }
}

/// Checks that an issuer can satisfy the contract. Warnings, and errors that are allowed, are logged.
fn check_satisfiable(
    issuer: &TrustedIssuer,
    contract: &Contract,
    allow: bool,
) -> Result<(), BuildError> {
    let (errors, warnings): (Vec<Finding>, Vec<Finding>) = issuer
        .findings(contract)
        .into_iter()
        .partition(|finding| finding.severity == Severity::Error && !allow);
    // Warnings that differ only in the route are one warning.
    let mut merged: Vec<(String, String, Vec<String>)> = Vec::new();
    for Finding { endpoint, problem, fix, .. } in warnings {
        match merged.iter_mut().find(|(known, other, _)| *known == problem && *other == fix) {
            Some((.., endpoints)) => endpoints.extend(endpoint),
            None => merged.push((problem, fix, endpoint.into_iter().collect())),
        }
    }
    for (problem, fix, endpoints) in merged {
        let endpoints = (!endpoints.is_empty()).then(|| endpoints.join(", "));
        tracing::warn!(
            issuer = issuer.name,
            endpoints,
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
