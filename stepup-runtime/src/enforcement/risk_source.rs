//! The application's own opinion on the risk of a request: amount, location, time of day.

use crate::enforcement::principal::Principal;
use crate::request::head::RequestHead;
use crate::support::error_chain::ErrorChain;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use stepup_contract::{RiskLevel, RiskRule};
use tokio::time::timeout;

/// The future of a [`RiskSource`].
pub type RiskFuture<'a> =
    Pin<Box<dyn Future<Output = Result<RiskLevel, Box<dyn Error + Send + Sync>>> + Send + 'a>>;

/// Estimates the risk of a request. Only endpoints with `risk` ask it, after the token was verified and before the
/// decision. The higher of this risk and the session's counts.
///
/// ```
/// use stepup_runtime::{Principal, RequestHead, RiskFuture, RiskLevel, RiskSource};
///
/// struct ForeignNetwork;
///
/// impl RiskSource for ForeignNetwork {
///     fn risk<'a>(&'a self, request: RequestHead<'a>, _caller: &'a Principal) -> RiskFuture<'a> {
///         let known = request.headers().contains_key("x-office-network");
///         Box::pin(async move { Ok(if known { RiskLevel::Low } else { RiskLevel::Medium }) })
///     }
/// }
/// ```
pub trait RiskSource: Send + Sync + 'static {
    /// The risk of this request of this caller.
    ///
    /// # Errors
    /// The request then counts as the configured level: see [`Builder::risk_source`](crate::Builder::risk_source).
    fn risk<'a>(&'a self, request: RequestHead<'a>, caller: &'a Principal) -> RiskFuture<'a>;
}

/// A source with its limits.
#[derive(Clone)]
pub(crate) struct LimitedRiskSource {
    pub(crate) source: Arc<dyn RiskSource>,
    pub(crate) time_limit: Duration,
    /// The level if the source fails; without one, the endpoint's level of step-up, else the level of refusal.
    pub(crate) on_failure: Option<RiskLevel>,
}

impl LimitedRiskSource {
    /// The risk of this request. A source that fails or takes too long has a configured level.
    pub(crate) async fn risk(
        &self,
        request: RequestHead<'_>,
        caller: &Principal,
        rule: RiskRule,
    ) -> RiskLevel {
        let of_rule = || rule.step_up.or(rule.deny).unwrap_or(RiskLevel::Critical);
        let failed = || self.on_failure.unwrap_or_else(of_rule);
        match timeout(self.time_limit, self.source.risk(request, caller)).await {
            Ok(Ok(level)) => level,
            Ok(Err(error)) => {
                let error = ErrorChain(&*error);
                tracing::error!(%error, "the risk source has failed");
                failed()
            }
            Err(_) => {
                let time_limit = self.time_limit.as_secs_f64();
                tracing::error!(time_limit, "the risk source took too long");
                failed()
            }
        }
    }
}

impl fmt::Debug for LimitedRiskSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitedRiskSource")
            .field("time_limit", &self.time_limit)
            .finish_non_exhaustive()
    }
}
