//! What an issuer asks of its tokens that can be seen without verifying them.

use super::presented::Presented;
use crate::issuer::IssuerArguments;
use serde_json::Value;
use stepup_runtime::{Cause, Issuer, Standing, check_scheme};

/// See the module.
pub(super) struct Unverified {
    name: Option<String>,
    /// The issuer, where its audience is known as well.
    issuer: Option<Issuer>,
    must_be_bound: bool,
    untrusted: bool,
}

impl Unverified {
    /// What this issuer asks; nothing of one that is not known.
    pub(super) fn of(issuer: &IssuerArguments) -> Self {
        Self {
            name: issuer.issuer.clone(),
            issuer: issuer.to_trust().ok(),
            must_be_bound: issuer.dpop_required,
            untrusted: issuer.is_untrusted(),
        }
    }

    /// Whether what is presented, once verified, would be taken for one of the issuer's access tokens; `by_dpop` says
    /// that a proof came with it.
    pub(super) fn check(&self, presented: &Presented, by_dpop: bool) -> Result<Standing, Cause> {
        let (claims, signed) = (&presented.claims, presented.token.is_some());
        if !signed && claims.get("active").is_some_and(|active| active != &Value::Bool(true)) {
            return Err(Cause::InvalidToken("the token is not active"));
        }
        let named = claims.get("iss");
        let other = |name: &String| named.is_some_and(|named| named.as_str() != Some(name));
        // An introspection response need not name its issuer.
        let untrusted = self.untrusted && (signed || named.is_some());
        if untrusted || self.name.as_ref().is_some_and(other) {
            return Err(Cause::InvalidToken("the token is of another issuer"));
        }
        if let (Some(issuer), Some(token)) = (&self.issuer, &presented.token) {
            issuer.check_form(token)?;
        }
        let standing = Standing::of(claims, signed)?;
        if self.issuer.as_ref().is_some_and(|issuer| !issuer.is_audience_of(claims)) {
            return Err(Cause::InvalidToken("the token is for another audience"));
        }
        // A bound token is taken to come with its proof.
        let bound = standing.bound_to.is_some();
        check_scheme(by_dpop || bound, bound, self.must_be_bound)?;
        Ok(standing)
    }
}
