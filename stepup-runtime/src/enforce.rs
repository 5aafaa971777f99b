//! The one enforcement: gathers the evidence of a request and asks for the decision. Handler guard,
//! tower layer and gateway all come through here.

use crate::credential::{Credential, Scheme, credential};
use crate::principal::Principal;
use crate::refusal::{Cause, Refusal};
use crate::step_up::StepUp;
use http::request::Parts;
use stepup_contract::{Decision, Endpoint, Evidence, Requirement, decide};

impl StepUp {
    /// Enforces an endpoint's requirement on a request's head. Its body is not looked at.
    ///
    /// # Errors
    /// The refusal, ready to be sent.
    pub async fn enforce(&self, endpoint: &Endpoint, head: &Parts) -> Result<Principal, Refusal> {
        self.admit(endpoint, head)
            .await
            .map_err(|refusal| refusal.with_resource_metadata(self.0.resource_metadata.clone()))
    }

    async fn admit(&self, endpoint: &Endpoint, head: &Parts) -> Result<Principal, Refusal> {
        let requirement = &endpoint.requirement;
        if let Some(why) = unenforceable(requirement) {
            tracing::error!(endpoint = endpoint.route(), why, "an endpoint refuses every request");
            return Err(Cause::Misconfigured("the endpoint cannot be enforced").into());
        }
        let Credential { scheme, token } = credential(&head.headers, head.uri.query())?;
        if scheme == Scheme::Dpop {
            return Err(Cause::CredentialRequired.into());
        }
        let now = self.0.clock.now();
        let verified = self.0.tokens.verify(token, now).await?;
        verified.check_times(now)?;
        match decide(requirement, &Evidence::of(&verified.authentication), now) {
            Decision::Allow => Ok(Principal::new(verified)),
            Decision::Refuse(reason) => {
                tracing::debug!(endpoint = endpoint.route(), ?reason, "a request is refused");
                Err(Refusal::decided(reason, requirement, &verified.issuer.profile))
            }
        }
    }
}

/// What of this requirement this version cannot enforce. Such an endpoint is refused where it can
/// be: when it is mounted, when its contract is given to the builder, and on every request.
pub(crate) fn unenforceable(requirement: &Requirement) -> Option<&'static str> {
    if requirement.per_action {
        Some("per_action is registered and exported, but cannot be enforced yet; leave it out")
    } else if requirement.risk.is_some() {
        Some("risk is registered and exported, but cannot be enforced yet; leave it out")
    } else if requirement.bound {
        Some("bound is registered and exported, but cannot be enforced yet; leave it out")
    } else {
        None
    }
}
