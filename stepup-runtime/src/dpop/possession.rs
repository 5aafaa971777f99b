//! Whether the caller has the key to which a token is bound: the right scheme, and a proof where one is needed.

use crate::dpop::proof::{Binding, ProofVerifier};
use crate::dpop::verified_proof::VerifiedProof;
use crate::refusal::{Cause, Scheme, TokenError};
use crate::request::credential::Credential;
use crate::request::head::RequestHead;
use crate::token::verified::VerifiedToken;
use std::sync::Arc;

/// Checks that a token is presented in the right scheme (RFC 9449 §7.1): `as_dpop` or as a bearer token, `bound` to a
/// key or not, of an issuer that requires bound tokens or not. The proof itself is checked separately.
///
/// # Errors
/// What is wrong with the scheme.
pub fn check_scheme(as_dpop: bool, bound: bool, must_be_bound: bool) -> Result<(), TokenError> {
    match (as_dpop, bound) {
        (false, false) if must_be_bound => Err(TokenError::NotBound),
        (false, true) => Err(TokenError::BoundTokenAsBearer),
        (true, false) => Err(TokenError::UnboundTokenAsDpop),
        (false, false) | (true, true) => Ok(()),
    }
}

/// Checks that a bound token is presented with a proof, and an unbound one is allowed. Returns whether the token is
/// bound. `verified_proof` is a proof that was verified before for the same request.
pub(crate) fn check_possession(
    verifier: Option<&Arc<ProofVerifier>>,
    verified_proof: Option<&VerifiedProof>,
    credential: &Credential<'_>,
    head: &RequestHead<'_>,
    token: &VerifiedToken,
    now: u64,
) -> Result<bool, Cause> {
    if let (Some(verifier), Some(proof)) = (verifier, verified_proof)
        && token.bound_to.is_some()
        && proof.covers(verifier, head)
    {
        return Ok(true);
    }
    let as_dpop = credential.scheme == Scheme::Dpop;
    check_scheme(as_dpop, token.bound_to.is_some(), token.issuer.dpop_required)?;
    let Some(thumbprint) = &token.bound_to else { return Ok(false) };
    let Some(verifier) = verifier else {
        tracing::error!(
            "a DPoP-bound token is refused because proofs cannot be checked; call \
             StepUp::builder().resource(\"https://…\")"
        );
        return Err(TokenError::ProofsNotSupported.into());
    };
    // A client can create any number of keys, so the replay cache is shared out per subject.
    let caller = format!("{} {}", token.issuer.name, token.subject);
    let binding = Binding { token: credential.token, thumbprint, caller: &caller };
    verifier.verify(head, &binding, now).map(|()| true)
}
