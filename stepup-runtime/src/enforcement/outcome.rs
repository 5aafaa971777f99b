//! The one exit of enforcement. Every outcome of the guard, the layer and the gateway passes through
//! [`StepUp::conclude`], which completes a refusal and logs it.

use crate::enforcement::step_up::StepUp;
use crate::enforcement::step_up_report;
#[cfg(feature = "axum")]
use crate::refusal::Misconfiguration;
use crate::refusal::{Cause, Refusal};
use crate::request::head::RequestHead;
use crate::token::verified::VerifiedToken;
use stepup_contract::Endpoint;

/// The target of refusal events.
const TARGET: &str = "stepup::refusal";

/// What is known about a request when its outcome is decided.
#[derive(Clone, Copy, Default)]
pub(crate) struct OutcomeContext<'a> {
    pub(crate) endpoint: Option<&'a Endpoint>,
    pub(crate) head: Option<RequestHead<'a>>,
    pub(crate) token: Option<&'a VerifiedToken>,
}

impl StepUp {
    /// Concludes the enforcement of a request. A refusal gets the URL of the metadata, the origin of the page that may
    /// read it and, if the client has already stepped up, the step-up report. Each refusal is logged as one event.
    pub(crate) fn conclude<T>(
        &self,
        context: &OutcomeContext<'_>,
        outcome: Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        outcome.map_err(|refusal| self.refuse(context, refusal))
    }

    /// Concludes the enforcement of a request that is refused.
    #[cold]
    pub(crate) fn refuse(&self, context: &OutcomeContext<'_>, refusal: Refusal) -> Refusal {
        let mut refusal = refusal.with_resource_metadata(self.metadata_url());
        if let Some(head) = context.head {
            refusal = refusal.with_allowed_origin(self.0.allowed_origins.of(head.headers()));
        }
        let now = self.0.clock.now();
        let repeated =
            context.head.is_some_and(|head| step_up_report::is_repeated_attempt(head.headers()));
        if let (Some(token), true) = (context.token, repeated) {
            refusal = refusal
                .with_step_up_report(|challenge| step_up_report::for_client(challenge, token, now));
        }
        log(context, &refusal, repeated, now);
        refusal
    }
}

/// Concludes a request to a handler without a guard, which has no [`StepUp`].
#[cfg(feature = "axum")]
#[cold]
pub(crate) fn refuse_unguarded() -> Refusal {
    let refusal = Refusal::from(Cause::from(Misconfiguration::NotGuarded));
    log(&OutcomeContext::default(), &refusal, false, 0);
    refusal
}

/// Logs a refusal: DEBUG if the client can cause it, WARN (rate-limited) if a step-up was not enough, ERROR if the
/// service is misconfigured. An event never contains a token.
fn log(context: &OutcomeContext<'_>, refusal: &Refusal, repeated: bool, now: u64) {
    let problem = refusal.kind();
    let reason = refusal.cause().detail();
    let route = context.endpoint.map(Endpoint::route);
    let issuer = context.token.map(|token| token.issuer.name.as_str());
    if let (Cause::StepUp(_, lacking), Some(token)) = (refusal.cause(), context.token) {
        let evidence = step_up_report::for_log(*lacking, token);
        if repeated && let Some(suppressed) = token.issuer.step_up_warnings.allow(now) {
            tracing::warn!(
                target: TARGET,
                problem,
                reason,
                route,
                issuer,
                evidence,
                suppressed,
                "a step-up was not enough; if a claim is missing, the issuer does not put it into its access tokens, \
                 or the issuer's profile expects it in another claim"
            );
        } else {
            tracing::debug!(
                target: TARGET, problem, reason, route, issuer, evidence, "a step-up is required"
            );
        }
        return;
    }
    match refusal.cause() {
        Cause::Misconfigured(_) => {
            tracing::error!(target: TARGET, problem, reason, route, issuer, "a request was refused");
        }
        _ => {
            tracing::debug!(target: TARGET, problem, reason, route, issuer, "a request was refused");
        }
    }
}
