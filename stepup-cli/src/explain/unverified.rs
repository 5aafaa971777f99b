//! The requirements of an issuer for its tokens that can be checked without verifying them.

use crate::explain::presented::Presented;
use crate::settings::issuer::IssuerArguments;
use serde_json::Value;
use stepup_runtime::{Issuer, TokenClaims, TokenError, check_scheme};

/// An issuer whose tokens are checked without verifying their signatures.
pub(super) struct Unverified {
    name: Option<String>,
    /// The issuer, if its audience is known.
    issuer: Option<Issuer>,
    must_be_bound: bool,
    untrusted: bool,
}

impl Unverified {
    /// The requirements of this issuer.
    pub(super) fn of(issuer: &IssuerArguments) -> Self {
        Self {
            name: issuer.issuer.clone(),
            issuer: issuer.to_verify().ok(),
            must_be_bound: issuer.dpop_required,
            untrusted: issuer.is_untrusted(),
        }
    }

    /// Checks that the credential, once verified, would be one of the issuer's access tokens. `as_dpop` is whether it
    /// is presented with a proof.
    pub(super) fn check(
        &self,
        presented: &Presented,
        as_dpop: bool,
    ) -> Result<TokenClaims, TokenError> {
        let (claims, signed) = (&presented.claims, presented.token.is_some());
        if !signed && claims.get("active").is_some_and(|active| active != &Value::Bool(true)) {
            return Err(TokenError::Inactive);
        }
        let named = claims.get("iss");
        let other = |name: &String| named.is_some_and(|named| named.as_str() != Some(name));
        // An introspection response need not name its issuer.
        let untrusted = self.untrusted && (signed || named.is_some());
        if untrusted || self.name.as_ref().is_some_and(other) {
            return Err(TokenError::UnknownIssuer);
        }
        if let (Some(issuer), Some(token)) = (&self.issuer, &presented.token) {
            issuer.check_form(token)?;
        }
        let token_claims = TokenClaims::of(claims, signed)?;
        if self.issuer.as_ref().is_some_and(|issuer| !issuer.is_audience_of(claims)) {
            return Err(TokenError::Audience);
        }
        // A bound token is assumed to have a valid proof.
        let bound = token_claims.bound_to.is_some();
        check_scheme(as_dpop || bound, bound, self.must_be_bound)?;
        Ok(token_claims)
    }
}
