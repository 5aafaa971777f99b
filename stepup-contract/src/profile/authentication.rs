//! What a token proves about its user's authentication.

use crate::model::MethodSet;

/// How and when a user authenticated, as the issuer's [`Profile`](crate::Profile) reads it from a verified token. It
/// does not change during the token's lifetime.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Authentication {
    /// The methods that the token proves, by its `amr` and by what its `acr` proves.
    pub methods: MethodSet,
    /// The context classes that hold: the token's `acr`, unless it is missing, malformed, or means that no level was
    /// reached; then the weaker levels, if the issuer's profile declares an order.
    pub acr: Vec<String>,
    /// When the user last actively authenticated, in seconds since the epoch (`auth_time`).
    pub auth_time: Option<u64>,
    /// The scopes that the token grants.
    pub scopes: Vec<String>,
    /// Whether this issuer's users may call sensitive endpoints.
    pub may_step_up: bool,
    /// How many seconds the issuer's clock may be ahead of this API's.
    pub clock_skew: u32,
}

impl Authentication {
    /// Seconds since the user authenticated, if known. An `auth_time` in the future is age 0 within the clock skew, and
    /// unknown beyond it.
    pub(crate) fn age(&self, now: u64) -> Option<u64> {
        let auth_time = self.auth_time?;
        match now.checked_sub(auth_time) {
            Some(age) => Some(age),
            None if auth_time - now <= u64::from(self.clock_skew) => Some(0),
            None => None,
        }
    }
}
