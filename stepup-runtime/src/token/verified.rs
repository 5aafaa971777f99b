//! A verified token: its claims, and what they rest on.

use crate::issuer::trusted::TrustedIssuer;
use crate::jose::jwk::VerifyingKey;
use crate::refusal::TokenError;
use crate::token::claims::{TokenClaims, names_audience};
use crate::token::identity::{IdentityKey, TokenIdentity};
use crate::token::times::TokenTimes;
use serde_json::{Map, Value};
use std::sync::{Arc, OnceLock};
use stepup_contract::Authentication;
use tokio::time::Instant;

/// A token whose claims its issuer has confirmed. Whether the token may be used now is checked on every request.
#[derive(Debug)]
pub(crate) struct VerifiedToken {
    pub(crate) issuer: Arc<TrustedIssuer>,
    pub(crate) subject: String,
    pub(crate) client: Option<String>,
    /// The session at the issuer (`sid`).
    pub(crate) session: Option<String>,
    pub(crate) amr: Vec<String>,
    pub(crate) authentication: Authentication,
    /// Which of the claims for amr, acr and auth_time the token has, in any form.
    pub(crate) evidence_present: [bool; 3],
    /// Whether the client understands Entra's claims challenges: its optional claim `xms_cc` contains `cp1`.
    pub(crate) understands_claims: bool,
    /// All claims as JSON text.
    pub(crate) claims: Vec<u8>,
    /// The thumbprint of the key that the token is bound to (`cnf.jkt`, RFC 9449 §6.1).
    pub(crate) bound_to: Option<String>,
    /// Everything before the signature of a cached JWT; otherwise empty.
    pub(crate) message: Box<[u8]>,
    pub(crate) times: TokenTimes,
    pub(crate) source: ClaimsSource,
    /// Computed when it is first needed.
    identity: OnceLock<TokenIdentity>,
}

/// What the claims rest on: a signature, an introspection response, or both.
#[derive(Debug)]
pub(crate) struct ClaimsSource {
    /// The key that has signed the token.
    pub(crate) key: Option<Arc<VerifyingKey>>,
    /// Until when the introspection response may be used.
    pub(crate) introspected_until: Option<Instant>,
}

impl VerifiedToken {
    /// Checks the claims that every token must have, and reads the others. `json` are the same claims as text. A token
    /// without audience is accepted if `audience_optional`.
    pub(crate) fn new(
        issuer: &Arc<TrustedIssuer>,
        claims: &Map<String, Value>,
        json: Vec<u8>,
        source: ClaimsSource,
        audience_optional: bool,
    ) -> Result<Self, TokenError> {
        let TokenClaims { subject, bound_to, times } =
            TokenClaims::of(claims, source.key.is_some())?;
        let audience = names_audience(claims.get(&issuer.audience_claim), &issuer.audiences);
        if !audience.unwrap_or(audience_optional) {
            return Err(TokenError::Audience);
        }
        let client = ["client_id", "azp", "cid", "appid"].iter().find_map(|name| claims.get(*name));
        let client = client.and_then(Value::as_str);
        let understands_claims = match claims.get("xms_cc") {
            Some(Value::Array(list)) => list.iter().any(|capability| capability == "cp1"),
            Some(one) => one == "cp1",
            None => false,
        };
        let paths = issuer.profile.claim_paths();
        let amr = issuer.profile.amr(claims);
        Ok(Self {
            issuer: Arc::clone(issuer),
            subject,
            client: client.map(str::to_owned),
            session: claims.get("sid").and_then(Value::as_str).map(str::to_owned),
            authentication: issuer.profile.authentication_with(claims, &amr),
            amr: amr.into_iter().map(str::to_owned).collect(),
            evidence_present: paths.map(|path| path.get(claims).is_some()),
            understands_claims,
            claims: json,
            bound_to,
            message: Box::default(),
            times,
            source,
            identity: OnceLock::new(),
        })
    }

    /// Whom the token belongs to, and when that user authenticated.
    pub(crate) fn identity(&self) -> &TokenIdentity {
        self.identity.get_or_init(|| {
            let issuer = self.issuer.name.as_str();
            let session = |client| {
                let sid = self.session.as_deref()?;
                Some(IdentityKey::session(issuer, sid, client))
            };
            let subject = |client| IdentityKey::subject(issuer, &self.subject, client);
            let client = self.client.as_deref();
            // The earlier one, so that a wrong time in the future proves nothing.
            let times = [self.authentication.auth_time, self.times.issued_at()];
            let authenticated = times.into_iter().flatten().min();
            TokenIdentity {
                session: session(None),
                session_at_client: client.and_then(|client| session(Some(client))),
                subject: subject(None),
                subject_at_client: client.map(|client| subject(Some(client))),
                authenticated_at: authenticated.unwrap_or(0),
            }
        })
    }

    /// Whether the claims' source is still good: the issuer still has the key, and the introspection response is not
    /// too old. If not, the token must be verified again.
    pub(crate) fn is_source_current(&self) -> bool {
        let ClaimsSource { key, introspected_until } = &self.source;
        let signed = key
            .as_ref()
            .is_none_or(|key| !key.is_retired() && self.issuer.keys.check_fresh().is_ok());
        signed && introspected_until.is_none_or(|until| Instant::now() < until)
    }

    /// Checks that the token may be used now.
    pub(crate) fn check_times(&self, now: u64) -> Result<(), TokenError> {
        self.times.check(now, self.authentication.clock_skew)
    }
}
