//! The single handle for all enforcement.

use crate::dpop::proof::ProofVerifier;
use crate::enforcement::allowed_origins::AllowedOrigins;
use crate::enforcement::protected_resource::ProtectedResource;
use crate::enforcement::risk_source::LimitedRiskSource;
use crate::refusal::Scheme;
use crate::request::credential::TokenPlaces;
use crate::request::limits::RequestLimits;
use crate::session::manager::{RiskManager, SessionManager};
use crate::session::store::SessionStore;
use crate::signal::receiver::SignalReceiver;
use crate::support::clock::Clock;
use crate::token::verifier::TokenVerifier;
use http::{HeaderMap, Response, StatusCode};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use stepup_contract::Contract;

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

/// What all clones share.
pub(crate) struct Inner {
    pub(crate) verifier: TokenVerifier,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sessions: Option<Arc<SessionStore>>,
    pub(crate) risk: Option<LimitedRiskSource>,
    pub(crate) signals: SignalReceiver,
    /// Whether `session_routes` were created.
    pub(crate) session_routes_mounted: AtomicBool,
    pub(crate) limits: RequestLimits,
    pub(crate) token_places: TokenPlaces,
    pub(crate) allowed_origins: AllowedOrigins,
    pub(crate) proofs: Option<Arc<ProofVerifier>>,
    /// The scheme in the challenge for a caller without a token.
    pub(crate) default_scheme: Scheme,
    /// Whether a handler that is mounted at another route than its attribute declares refuses requests.
    pub(crate) strict_routes: bool,
    pub(crate) resource: Option<ProtectedResource>,
    /// The address of the metadata, if it is not derived from `resource`.
    pub(crate) resource_metadata: Option<Arc<str>>,
    pub(crate) publish_contract: bool,
    pub(crate) allow_unsatisfiable: bool,
    /// The prefix of every route, from `service!(base = …)`.
    pub(crate) base: String,
    pub(crate) drifted: AtomicU64,
    pub(crate) contract: Option<Contract>,
    /// Whether something enforces a whole contract: `protect`, a layer or a gateway.
    pub(crate) contract_enforced: AtomicBool,
}

impl StepUp {
    /// The contract that was passed to the builder.
    pub fn contract(&self) -> Option<&Contract> {
        self.0.contract.as_ref()
    }

    /// Ends sessions, requires new authentications, and locks or disables accounts. Needs
    /// [`Builder::sessions`](crate::Builder::sessions).
    ///
    /// ```
    /// # use stepup_runtime::{NoticeTarget, Principal, SessionsError, StepUp};
    /// # async fn log_out(step_up: StepUp, user: Principal) -> Result<(), SessionsError> {
    /// let user = NoticeTarget::subject(user.issuer(), user.subject());
    /// step_up.sessions().revoke(user, "the user has lost a device").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn sessions(&self) -> SessionManager<'_> {
        SessionManager::new(self.0.sessions.as_deref(), self.0.clock.now())
    }

    /// Reports the risk of sessions and subjects. Needs [`Builder::sessions`](crate::Builder::sessions).
    ///
    /// ```
    /// # use stepup_runtime::{NoticeTarget, Principal, RiskLevel, SessionsError, StepUp};
    /// # async fn unusual(step_up: StepUp, user: Principal) -> Result<(), SessionsError> {
    /// let user = NoticeTarget::subject(user.issuer(), user.subject());
    /// step_up.risk().report(user, RiskLevel::High, "a login from two countries").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn risk(&self) -> RiskManager<'_> {
        RiskManager::new(self.sessions())
    }

    /// Receives a pushed security event token (RFC 8935), for frameworks other than axum: the response is complete. With
    /// axum, mount [`signal_routes`](Self::signal_routes).
    pub async fn receive_event(&self, headers: &HeaderMap, body: &[u8]) -> Response<String> {
        let Some(sessions) = &self.0.sessions else { return no_sessions() };
        self.0.signals.receive_event(headers, body, sessions, self.0.clock.now()).await
    }

    /// Receives a back-channel logout (OpenID Connect Back-Channel Logout 1.0), for frameworks other than axum: the response
    /// is complete. `body` is the form. With axum, mount [`signal_routes`](Self::signal_routes).
    pub async fn receive_logout(&self, body: &[u8]) -> Response<String> {
        let Some(sessions) = &self.0.sessions else { return no_sessions() };
        let issuers = self.0.verifier.issuers();
        self.0.signals.receive_logout(body, issuers, sessions, self.0.clock.now()).await
    }

    /// How many received events had no effect, because they were unknown or their subject could not be used. The log says
    /// why.
    pub fn unreadable_events(&self) -> u64 {
        self.0.signals.unreadable.load(Ordering::Relaxed)
    }

    /// How many requests reached a guarded handler at another route than its attribute declares.
    pub fn drifted_requests(&self) -> u64 {
        self.0.drifted.load(Ordering::Relaxed)
    }

    /// The address of this API's metadata for challenges, if it is published.
    pub(crate) fn metadata_url(&self) -> Option<Arc<str>> {
        let published = || self.0.resource.as_ref()?.published_url();
        self.0.resource_metadata.clone().or_else(published)
    }
}

/// Signals cannot be kept: an error of the program, which `signal_routes` reports at start.
fn no_sessions() -> Response<String> {
    tracing::error!(
        "a signal cannot be kept without a session log; call StepUp::builder().sessions(…)"
    );
    let mut response = Response::new(String::new());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

impl fmt::Debug for StepUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issuers: Vec<&str> =
            self.0.verifier.issuers().iter().map(|issuer| issuer.name.as_str()).collect();
        f.debug_struct("StepUp").field("issuers", &issuers).finish_non_exhaustive()
    }
}
