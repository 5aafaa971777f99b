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
use stepup_contract::{Decision, Endpoint, Evidence, Trust, decide};

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
            Progress::NeedsIssuer(token) => Enforcement::waiting(async move {
                self.enforce_with_issuer(endpoint, head, proof, token).await.map(Some)
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
            Progress::NeedsIssuer(token) => {
                self.enforce_with_issuer(endpoint, head, verified_proof, token).await.map(Some)
            }
        }
    }

    /// Verifies a token with the help of its issuer, then enforces.
    pub(crate) async fn enforce_with_issuer(
        &self,
        endpoint: &Endpoint,
        head: RequestHead<'_>,
        verified_proof: Option<&VerifiedProof>,
        token: UnconfirmedToken,
    ) -> Result<Principal, Refusal> {
        let request = Request { step_up: self, endpoint, head, verified_proof };
        let credential = request.credential()?;
        let now = self.0.clock.now();
        let client = head.client();
        let verified =
            self.0.verifier.verify_with_issuer(credential.token, token, client, now).await;
        request.conclude_verification(&credential, verified)
    }
}

/// How far enforcement gets without waiting.
pub(crate) enum Progress {
    /// To its end: the caller, or `None` at a public endpoint.
    Done(Result<Option<Principal>, Refusal>),
    /// To a token that only its issuer can confirm.
    NeedsIssuer(UnconfirmedToken),
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
            Ok(token) => Progress::Done(self.decide(&credential, token).map(Some)),
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
                Progress::Done(self.conclude_verification(credential, verified).map(Some))
            }
            Verification::NeedsIssuer(token) => Progress::NeedsIssuer(token),
        }
    }

    fn conclude_verification(
        &self,
        credential: &Credential<'_>,
        verified: Result<Arc<VerifiedToken>, Cause>,
    ) -> Result<Principal, Refusal> {
        match verified {
            Ok(token) => {
                self.list_session(&token);
                self.decide(credential, token)
            }
            Err(cause) => Err(self.refuse(None, credential.scheme, cause)),
        }
    }

    /// Decides with a verified token, at the current time: the verification may have taken a while.
    fn decide(
        &self,
        credential: &Credential<'_>,
        token: Arc<VerifiedToken>,
    ) -> Result<Principal, Refusal> {
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
        // The token is valid, so its caller may learn what the endpoint requires.
        let requirement = &self.endpoint.requirement;
        let after = status.and_then(|status| status.reauthenticate_after);
        let evidence = Evidence::of(&token.authentication).bound(bound);
        let evidence = evidence.risk(status.map(|status| status.risk)).reauthenticate_after(after);
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
        // The issuer confirms an introspected token again and again; a JWT can outlive the notices about it.
        let introspected = token.source.introspected_until.is_some();
        if !introspected && !sessions.covers(token.times.issued_at(), now) {
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
