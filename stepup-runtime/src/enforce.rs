//! The one enforcement: gathers the evidence of a request and asks for the decision. Handler guard,
//! tower layer and gateway all come through here.

use crate::credential::{Credential, Scheme, credential};
use crate::dpop::check_binding;
use crate::principal::Principal;
use crate::refusal::{Cause, Refusal};
use crate::shown::Shown;
use crate::step_up::StepUp;
use crate::unmet;
use http::request::Parts;
use stepup_contract::{Decision, Endpoint, Evidence, Reason, Requirement, decide};

impl StepUp {
    /// Enforces an endpoint's requirement on a request's head. Its body is not looked at.
    ///
    /// # Errors
    /// The refusal, ready to be sent.
    pub async fn enforce(&self, endpoint: &Endpoint, head: &Parts) -> Result<Principal, Refusal> {
        self.admit(endpoint, head)
            .await
            .map_err(|refusal| refusal.with_resource_metadata(self.metadata_url()))
    }

    async fn admit(&self, endpoint: &Endpoint, head: &Parts) -> Result<Principal, Refusal> {
        let requirement = &endpoint.requirement;
        if let Some(why) = self.unenforceable(requirement) {
            tracing::error!(endpoint = endpoint.route(), why, "an endpoint refuses every request");
            return Err(Cause::Misconfigured("the endpoint cannot be enforced").into());
        }
        let credential = credential(&head.headers, head.uri.query())
            .map_err(|refusal| refusal.in_scheme(self.0.scheme))?;
        let Credential { scheme, token } = credential;
        let mut now = self.0.clock.now();
        let verified = match self.0.tokens.known(token) {
            Ok(known) => known,
            Err(unknown) => {
                // Boxed, so that the future of a request whose token is known stays small.
                let verified = Box::pin(self.0.tokens.verify(token, unknown, now)).await;
                // The issuer may have been waited for.
                now = self.0.clock.now();
                verified.map_err(|refusal| refusal.in_scheme(scheme))?
            }
        };
        // From here on the token says how it must be presented.
        let must_be_bound = verified.bound_to.is_some() || verified.issuer.dpop_required;
        let scheme = if must_be_bound { Scheme::Dpop } else { Scheme::Bearer };
        let refuse = |cause: Cause| Refusal::from(cause).in_scheme(scheme);
        verified.check_times(now).map_err(refuse)?;
        let bound = match verified.bound_to {
            Some(_) if Shown::again(head, self) => true,
            _ => {
                let proofs = self.0.proofs.as_ref();
                check_binding(proofs, &credential, head, &verified, now).map_err(refuse)?
            }
        };
        // It is valid, so that it may be told what the endpoint demands.
        let scheme = if requirement.bound { Scheme::Dpop } else { scheme };
        let evidence = Evidence { bound, ..Evidence::of(&verified.authentication) };
        match decide(requirement, &evidence, now) {
            Decision::Allow => Ok(Principal::new(verified, bound)),
            Decision::Refuse(reason) => {
                let refusal = Refusal::decided(reason, requirement, &verified).in_scheme(scheme);
                let again = unmet::is_another_attempt(&head.headers);
                if let Reason::StepUp(lacking) = reason {
                    unmet::log(&endpoint.route(), lacking, &verified, again, now);
                } else {
                    tracing::debug!(endpoint = endpoint.route(), ?reason, "a request is refused");
                }
                Err(if again {
                    refusal.unmet(|challenge| unmet::described(challenge, &verified, now))
                } else {
                    refusal
                })
            }
        }
    }

    /// What of this requirement cannot be enforced, by this version or as it is configured. Such an
    /// endpoint is refused where it can be: when it is mounted, when its contract is given to the
    /// builder, and on every request.
    pub(crate) fn unenforceable(&self, requirement: &Requirement) -> Option<&'static str> {
        unenforceable(requirement, self.0.proofs.is_some())
    }
}

/// What of this requirement this version cannot enforce, where proofs of DPoP can be checked or cannot: an endpoint
/// with such a requirement refuses every request with 500.
pub fn unenforceable(requirement: &Requirement, proofs: bool) -> Option<&'static str> {
    if requirement.per_action {
        Some("this version cannot enforce per_action, and would refuse every request; leave it out")
    } else if requirement.risk.is_some() {
        Some("this version cannot enforce risk, and would refuse every request; leave it out")
    } else if requirement.bound && !proofs {
        Some(
            "bound needs the address for which DPoP proofs are made; say \
             StepUp::builder().resource(\"https://api.example\") (--resource)",
        )
    } else {
        None
    }
}
