//! The enforcement of one endpoint's requirement on one request. Guard, tower layer and gateway all call this.

use crate::dpop::possession::check_possession;
use crate::dpop::verified_proof::VerifiedProof;
use crate::enforcement::enforcement_future::Enforcement;
use crate::enforcement::outcome::OutcomeContext;
use crate::enforcement::principal::Principal;
use crate::enforcement::step_up::StepUp;
use crate::refusal::{AcceptedSchemes, Cause, Misconfiguration, Refusal, Scheme, TokenError};
use crate::request::credential::Credential;
use crate::request::head::RequestHead;
use crate::session::directory::Sighting;
use crate::session::state::SessionStatus;
use crate::token::cache::CacheMiss;
use crate::token::verified::VerifiedToken;
use crate::token::verifier::{UnconfirmedToken, Verification};
use http::header::USER_AGENT;
use std::sync::Arc;
use stepup_contract::{Decision, Endpoint, Evidence, RiskLevel, Trust, decide};

impl StepUp {
    /// Enforces an endpoint's requirement on a request's head. The body is not read. The result is ready at once, unless
    /// only the token's issuer can confirm the token. The result is the caller, or `None` at a public endpoint, where
    /// no credential is read.
    pub fn enforce<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        head: RequestHead<'a>,
    ) -> Enforcement<'a, Option<Principal>> {
        self.enforce_after(endpoint, head, None)
    }

    /// Like [`enforce`](Self::enforce), for a request whose proof may have been verified before.
    pub(crate) fn enforce_after<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        head: RequestHead<'a>,
        proof: Option<&'a VerifiedProof>,
    ) -> Enforcement<'a, Option<Principal>> {
        match self.enforce_now(endpoint, head, proof) {
            Progress::Done(result) => Enforcement::ready(result),
            Progress::Waits(waiting) => Enforcement::waiting(async move {
                self.enforce_waiting(endpoint, head, proof, waiting).await.map(Some)
            }),
        }
    }

    /// Enforces without waiting, as far as that is possible.
    pub(crate) fn enforce_now(
        &self,
        endpoint: &Endpoint,
        head: RequestHead<'_>,
        verified_proof: Option<&VerifiedProof>,
    ) -> Progress {
        let request = Request { step_up: self, endpoint, head, verified_proof };
        if endpoint.public {
            return Progress::Done(self.conclude(&request.context(None), Ok(None)));
        }
        request.enforce_now()
    }

    /// The caller of a public endpoint, if the request has a credential.
    ///
    /// # Errors
    /// If the credential is not valid.
    pub(crate) async fn identify(
        &self,
        endpoint: &Endpoint,
        head: RequestHead<'_>,
        verified_proof: Option<&VerifiedProof>,
    ) -> Result<Option<Principal>, Refusal> {
        if let Err(Cause::CredentialRequired) = Credential::of(&head, self.0.token_places) {
            return Ok(None);
        }
        let request = Request { step_up: self, endpoint, head, verified_proof };
        match request.enforce_now() {
            Progress::Done(result) => result,
            Progress::Waits(waiting) => {
                self.enforce_waiting(endpoint, head, verified_proof, waiting).await.map(Some)
            }
        }
    }

    /// Enforces what needs to wait: for the issuer of the token, or for the application's estimate of the risk.
    pub(crate) async fn enforce_waiting(
        &self,
        endpoint: &Endpoint,
        head: RequestHead<'_>,
        verified_proof: Option<&VerifiedProof>,
        waiting: Waiting,
    ) -> Result<Principal, Refusal> {
        let request = Request { step_up: self, endpoint, head, verified_proof };
        let progress = match waiting {
            Waiting::ForIssuer(token) => {
                let credential = request.credential()?;
                let (now, client) = (self.0.clock.now(), head.client());
                let verifier = &self.0.verifier;
                let verified = verifier.verify_with_issuer(credential.token, token, client, now);
                request.conclude_verification(&credential, verified.await)?
            }
            Waiting::ForRisk(caller) => Checked::NeedsRisk(caller),
        };
        match progress {
            Checked::Decided(principal) => Ok(principal),
            Checked::NeedsRisk(caller) => request.decide_with_estimate(caller).await,
        }
    }
}

/// How far enforcement gets without waiting.
pub(crate) enum Progress {
    /// To its end: the caller, or `None` at a public endpoint.
    Done(Result<Option<Principal>, Refusal>),
    /// To something that takes time.
    Waits(Waiting),
}

/// What enforcement waits for.
pub(crate) enum Waiting {
    /// The issuer of the token, which alone can confirm it.
    ForIssuer(UnconfirmedToken),
    /// The application's estimate of the risk.
    ForRisk(CheckedCaller),
}

/// A caller whose token is valid and in use by its holder, and whose session has not ended.
pub(crate) struct CheckedCaller {
    token: Arc<VerifiedToken>,
    bound: bool,
    status: Option<SessionStatus>,
}

/// How far the checks of a verified token get without waiting.
enum Checked {
    /// The caller may call the endpoint.
    Decided(Principal),
    /// The application has to estimate the risk first.
    NeedsRisk(CheckedCaller),
}

/// One request at one endpoint.
struct Request<'a> {
    step_up: &'a StepUp,
    endpoint: &'a Endpoint,
    head: RequestHead<'a>,
    verified_proof: Option<&'a VerifiedProof>,
}

impl<'a> Request<'a> {
    /// Enforces without waiting, as far as that is possible.
    fn enforce_now(&self) -> Progress {
        let credential = match self.credential() {
            Ok(credential) => credential,
            Err(refusal) => return Progress::Done(Err(refusal)),
        };
        match self.step_up.0.verifier.cached(credential.token) {
            Ok(token) => self.progress(self.check(&credential, token)),
            Err(miss) => self.verify_now(&credential, miss),
        }
    }

    /// The one credential, if the endpoint can be enforced at all.
    fn credential(&self) -> Result<Credential<'a>, Refusal> {
        let scheme = self.step_up.0.default_scheme;
        if let Some(reason) = self.step_up.unenforceable(&self.endpoint.requirement) {
            let route = self.endpoint.route();
            tracing::error!(route, reason, "an endpoint refuses every request");
            let cause = Misconfiguration::UnenforceableEndpoint.into();
            return Err(self.refuse(None, scheme, cause));
        }
        let credential =
            Credential::of(&self.head, self.step_up.0.token_places).and_then(|credential| {
                self.step_up.0.limits.check_token(credential.token)?;
                Ok(credential)
            });
        credential.map_err(|cause| match cause {
            Cause::CredentialRequired => self.refuse(None, self.accepted_schemes(), cause),
            cause => self.refuse(None, scheme, cause),
        })
    }

    /// The schemes in which an anonymous caller may present a token here (RFC 9449 §7.1).
    fn accepted_schemes(&self) -> AcceptedSchemes {
        match self.step_up.0.default_scheme {
            _ if self.endpoint.requirement.bound => Scheme::Dpop.into(),
            Scheme::Bearer if self.step_up.0.proofs.is_some() => AcceptedSchemes::Both,
            scheme => scheme.into(),
        }
    }

    /// Verifies a token that is not cached, as far as that is possible without waiting.
    #[inline(never)]
    fn verify_now(&self, credential: &Credential<'_>, miss: CacheMiss) -> Progress {
        let now = self.step_up.0.clock.now();
        match self.step_up.0.verifier.verify_now(credential.token, miss, now) {
            Verification::Done(verified) => {
                self.progress(self.conclude_verification(credential, verified))
            }
            Verification::NeedsIssuer(token) => Progress::Waits(Waiting::ForIssuer(token)),
        }
    }

    fn progress(&self, checked: Result<Checked, Refusal>) -> Progress {
        match checked {
            Ok(Checked::Decided(principal)) => Progress::Done(Ok(Some(principal))),
            Ok(Checked::NeedsRisk(caller)) => Progress::Waits(Waiting::ForRisk(caller)),
            Err(refusal) => Progress::Done(Err(refusal)),
        }
    }

    fn conclude_verification(
        &self,
        credential: &Credential<'_>,
        verified: Result<Arc<VerifiedToken>, Cause>,
    ) -> Result<Checked, Refusal> {
        match verified {
            Ok(token) => {
                let checked = self.check(credential, Arc::clone(&token));
                // Only for its holder: a stolen token must not change what the user sees.
                if checked.is_ok() {
                    self.list_session(&token);
                }
                checked
            }
            Err(cause) => Err(self.refuse(None, credential.scheme, cause)),
        }
    }

    /// Checks a verified token at the current time, because the verification may have taken a while, and decides.
    fn check(
        &self,
        credential: &Credential<'_>,
        token: Arc<VerifiedToken>,
    ) -> Result<Checked, Refusal> {
        let now = self.step_up.0.clock.now();
        // The token determines the scheme in which it must be presented.
        let must_be_bound = token.bound_to.is_some() || token.issuer.dpop_required;
        let scheme = Scheme::for_binding(must_be_bound);
        let bound = token.check_times(now).map_err(Cause::from).and_then(|()| {
            let proofs = self.step_up.0.proofs.as_ref();
            check_possession(proofs, self.verified_proof, credential, &self.head, &token, now)
        });
        let standing = bound.and_then(|bound| Ok((bound, self.session_status(&token, now)?)));
        let (bound, status) = standing.map_err(|cause| self.refuse(Some(&token), scheme, cause))?;
        let caller = CheckedCaller { token, bound, status };
        let estimates = self.endpoint.requirement.risk.is_some() && self.step_up.0.risk.is_some();
        if estimates {
            return Ok(Checked::NeedsRisk(caller));
        }
        self.decide(caller, None, now).map(Checked::Decided)
    }

    /// Decides with the application's estimate of the risk.
    async fn decide_with_estimate(&self, caller: CheckedCaller) -> Result<Principal, Refusal> {
        let principal = Principal::new(Arc::clone(&caller.token), caller.bound);
        let mut estimate = None;
        if let (Some(risk), Some(rule)) = (&self.step_up.0.risk, self.endpoint.requirement.risk) {
            estimate = Some(risk.risk(self.head, &principal, rule).await);
        }
        // Meanwhile the token may have expired, or its session may have ended.
        let now = self.step_up.0.clock.now();
        let CheckedCaller { token, bound, .. } = caller;
        let status = token.check_times(now).map_err(Cause::from);
        let status = status.and_then(|()| self.session_status(&token, now));
        let scheme = Scheme::for_binding(bound);
        let status = status.map_err(|cause| self.refuse(Some(&token), scheme, cause))?;
        self.decide(CheckedCaller { token, bound, status }, estimate, now)
    }

    /// Decides. The higher of the session's risk and the estimated one counts.
    fn decide(
        &self,
        CheckedCaller { token, bound, status }: CheckedCaller,
        estimate: Option<RiskLevel>,
        now: u64,
    ) -> Result<Principal, Refusal> {
        let must_be_bound = token.bound_to.is_some() || token.issuer.dpop_required;
        // The token is valid, so its caller may learn what the endpoint requires.
        let requirement = &self.endpoint.requirement;
        let after = status.and_then(|status| status.reauthenticate_after);
        let evidence = Evidence::of(&token.authentication).bound(bound);
        let evidence = evidence
            .risk(status.map(|status| status.risk).max(estimate))
            .reauthenticate_after(after);
        let outcome = match decide(requirement, &evidence, now) {
            Decision::Allow => Ok(()),
            Decision::Refuse(reason) => {
                let scheme = Scheme::for_binding(must_be_bound || requirement.bound);
                let profile = &token.issuer.profile;
                let understands_claims = token.understands_claims;
                let refusal =
                    Refusal::decided(reason, requirement, profile, understands_claims, after, now);
                Err(refusal.in_schemes(scheme))
            }
        };
        self.step_up.conclude(&self.context(Some(&token)), outcome)?;
        Ok(Principal::new(token, bound))
    }

    /// Lists the session of a token that was just verified.
    fn list_session(&self, token: &VerifiedToken) {
        let Some(sessions) = self.step_up.0.sessions.as_deref() else { return };
        let user_agent = self.head.headers().get(USER_AGENT);
        let user_agent = user_agent.and_then(|agent| agent.to_str().ok());
        let sighting = Sighting { address: self.head.client(), user_agent };
        sessions.directory.add(token, sighting, self.step_up.0.clock.now());
    }

    /// What happened to the token's session after it was issued. `None` without a session log.
    fn session_status(
        &self,
        token: &VerifiedToken,
        now: u64,
    ) -> Result<Option<SessionStatus>, Cause> {
        let Some(sessions) = self.step_up.0.sessions.as_deref() else { return Ok(None) };
        let standard = self.endpoint.requirement.trust() != Trust::Sensitive;
        if !(sessions.is_fresh() || standard && sessions.serve_standard_when_stale) {
            return Err(Cause::Unavailable { retry_after: 1 });
        }
        let status = sessions.status(token.identity(), now);
        if status.disabled {
            return Err(TokenError::AccountDisabled.into());
        }
        if status.revoked {
            return Err(TokenError::SessionRevoked.into());
        }
        // A refresh makes a new token of an old authentication, whose notices are forgotten at some time.
        if !sessions.covers(token.identity().authenticated_at, now) {
            return Err(TokenError::OutlivesNotices.into());
        }
        if let Some(until) = status.locked_until {
            let retry_after = u32::try_from(until.saturating_sub(now)).unwrap_or(u32::MAX);
            return Err(Cause::Locked { retry_after });
        }
        Ok(Some(status))
    }

    fn refuse(
        &self,
        token: Option<&VerifiedToken>,
        schemes: impl Into<AcceptedSchemes>,
        cause: Cause,
    ) -> Refusal {
        let refusal = Refusal::from(cause).in_schemes(schemes);
        self.step_up.refuse(&self.context(token), refusal)
    }

    fn context<'b>(&'b self, token: Option<&'b VerifiedToken>) -> OutcomeContext<'b> {
        OutcomeContext { endpoint: Some(self.endpoint), head: Some(self.head), token }
    }
}
