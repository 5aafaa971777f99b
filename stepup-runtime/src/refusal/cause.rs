//! Why a request is refused. Each cause has one HTTP status and one OAuth error code.

use crate::refusal::reason::{Denial, InvalidRequest, Misconfiguration, ProofError, TokenError};
use http::StatusCode;
use stepup_contract::{Challenge, Lacking, PathAmbiguity};

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The request has no credential of a supported scheme.
    CredentialRequired,
    /// The request is malformed, has two credentials, or could be read in two ways.
    InvalidRequest(InvalidRequest),
    /// The path could be routed to different endpoints by different servers.
    AmbiguousPath(PathAmbiguity),
    /// The token is not accepted.
    InvalidToken(TokenError),
    /// The proof of possession of the token's key is not accepted (RFC 9449 §7.1).
    InvalidProof(ProofError),
    /// The proof must contain this nonce (RFC 9449 §9).
    UseDpopNonce(String),
    /// A stronger or more recent authentication is required; the challenge says which.
    StepUp(Challenge, Lacking),
    /// Only scopes are missing; the challenge names them.
    InsufficientScope(Challenge),
    /// The token is valid, and the call is refused without a way to recover.
    Denied(Denial),
    /// The session or the account is locked for a while.
    Locked {
        /// Seconds until the lock ends.
        retry_after: u32,
    },
    /// No endpoint of the contract matches the request, and its `unlisted` is `deny`.
    Unlisted,
    /// The issuer is unreachable, and nothing usable is cached.
    Unavailable {
        /// Seconds until a new attempt makes sense.
        retry_after: u32,
    },
    /// The service itself is misconfigured; its log says how to fix it.
    Misconfigured(Misconfiguration),
}

impl Cause {
    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::CredentialRequired
            | Self::InvalidToken(_)
            | Self::InvalidProof(_)
            | Self::UseDpopNonce(_)
            | Self::StepUp(..) => StatusCode::UNAUTHORIZED,
            Self::InvalidRequest(reason) => reason.status(),
            Self::AmbiguousPath(_) => StatusCode::BAD_REQUEST,
            Self::InsufficientScope(_) | Self::Denied(_) | Self::Locked { .. } | Self::Unlisted => {
                StatusCode::FORBIDDEN
            }
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Misconfigured(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The error code of RFC 6750 §3.1, RFC 9449 §7.1 and RFC 9470 §3.
    pub(crate) fn error_code(&self) -> Option<&'static str> {
        match self {
            Self::InvalidRequest(_) | Self::AmbiguousPath(_) => Some("invalid_request"),
            Self::InvalidToken(_) => Some("invalid_token"),
            Self::InvalidProof(_) => Some("invalid_dpop_proof"),
            Self::UseDpopNonce(_) => Some("use_dpop_nonce"),
            Self::StepUp(..) => Some("insufficient_user_authentication"),
            Self::InsufficientScope(_) => Some("insufficient_scope"),
            Self::CredentialRequired
            | Self::Denied(_)
            | Self::Locked { .. }
            | Self::Unlisted
            | Self::Unavailable { .. }
            | Self::Misconfigured(_) => None,
        }
    }

    /// What is wrong, as one sentence for the client.
    pub(crate) fn detail(&self) -> &'static str {
        match self {
            Self::CredentialRequired => "send an access token in the Authorization header",
            Self::InvalidRequest(reason) => reason.text(),
            Self::AmbiguousPath(reason) => reason.text(),
            Self::InvalidToken(reason) => reason.text(),
            Self::InvalidProof(reason) => reason.text(),
            Self::Denied(reason) => reason.text(),
            Self::Misconfigured(reason) => reason.text(),
            Self::UseDpopNonce(_) => "the DPoP proof must contain the nonce of this response",
            Self::StepUp(_, Lacking { methods, acr, max_age, .. }) => {
                match (*methods || *acr, *max_age) {
                    (true, true) => "a stronger and more recent authentication is required",
                    (false, true) => "a more recent authentication is required",
                    _ => "a stronger authentication is required",
                }
            }
            Self::InsufficientScope(_) => "the token lacks a scope",
            Self::Locked { .. } => "calls are locked for a while",
            Self::Unlisted => "no endpoint of the contract matches this request",
            Self::Unavailable { .. } => {
                "the token cannot be verified at the moment; try again later"
            }
        }
    }

    /// What a client must request to recover, if it can.
    pub fn challenge(&self) -> Option<&Challenge> {
        match self {
            Self::StepUp(challenge, _) | Self::InsufficientScope(challenge) => Some(challenge),
            _ => None,
        }
    }
}

impl From<InvalidRequest> for Cause {
    fn from(reason: InvalidRequest) -> Self {
        Self::InvalidRequest(reason)
    }
}

impl From<PathAmbiguity> for Cause {
    fn from(reason: PathAmbiguity) -> Self {
        Self::AmbiguousPath(reason)
    }
}

impl From<TokenError> for Cause {
    fn from(reason: TokenError) -> Self {
        Self::InvalidToken(reason)
    }
}

impl From<ProofError> for Cause {
    fn from(reason: ProofError) -> Self {
        Self::InvalidProof(reason)
    }
}

impl From<Misconfiguration> for Cause {
    fn from(reason: Misconfiguration) -> Self {
        Self::Misconfigured(reason)
    }
}
