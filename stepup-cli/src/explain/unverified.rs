//! What an issuer asks of its tokens that can be seen without verifying them.

use crate::issuer::IssuerArguments;
use serde_json::{Map, Value};
use stepup_runtime::{Cause, Standing};

/// See the module.
pub(super) struct Unverified {
    issuer: Option<String>,
    audiences: Vec<String>,
    must_be_bound: bool,
}

impl Unverified {
    /// What this issuer asks; nothing of one that is not known.
    pub(super) fn of(issuer: &IssuerArguments) -> Self {
        Self {
            issuer: issuer.issuer.clone(),
            audiences: issuer.audience.clone(),
            must_be_bound: issuer.dpop_required,
        }
    }

    /// Whether these claims, once verified, would be taken for those of one of the issuer's access tokens.
    pub(super) fn check(
        &self,
        claims: &Map<String, Value>,
        signed: bool,
    ) -> Result<Standing, Cause> {
        if !signed && claims.get("active").is_some_and(|active| active != &Value::Bool(true)) {
            return Err(Cause::InvalidToken("the token is not active"));
        }
        let is = |value: &Value, name: &String| value.as_str() == Some(name);
        let named = claims.get("iss");
        if self.issuer.as_ref().is_some_and(|issuer| named.is_some_and(|named| !is(named, issuer)))
        {
            return Err(Cause::InvalidToken("the token is of another issuer"));
        }
        let standing = Standing::of(claims, signed)?;
        let for_us = |audience: &Value| self.audiences.iter().any(|ours| is(audience, ours));
        let audience = match claims.get("aud") {
            _ if self.audiences.is_empty() => true,
            Some(Value::Array(list)) => list.iter().any(for_us),
            Some(one) => for_us(one),
            // Some issuers name the audience in another claim.
            None => true,
        };
        if !audience {
            return Err(Cause::InvalidToken("the token is for another audience"));
        }
        if self.must_be_bound && standing.bound_to.is_none() {
            return Err(Cause::InvalidToken(
                "the token is not bound to a key, as its issuer's must be",
            ));
        }
        Ok(standing)
    }
}
