//! What a token proves: the evidence of [`decide`](crate::decide).

use crate::method::MethodSet;
use crate::risk::RiskLevel;

/// How and when this person proved who they are, as the issuer's [`Profile`](crate::Profile) reads
/// it from a verified token. Fixed for the token's life.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authentication {
    /// The methods that the token proves, by its `amr` and by what its `acr` is known to prove.
    pub methods: MethodSet,
    /// The context classes that hold: the token's `acr`, unless it is missing, odd, or says that no
    /// level was reached, then the weaker ones where the issuer's profile declares an order.
    pub acr: Vec<String>,
    /// When the person last actively authenticated, in seconds since the epoch (`auth_time`).
    pub auth_time: Option<u64>,
    /// The scopes that the token grants.
    pub scopes: Vec<String>,
    /// Whether this issuer's users may call sensitive endpoints at all.
    pub may_step_up: bool,
    /// How many seconds the issuer's clock may be ahead of ours.
    pub clock_skew: u32,
}

/// Everything that a decision rests on, at the time of one request.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// What the token proves.
    pub authentication: &'a Authentication,
    /// The session's risk, where it is known.
    pub risk: Option<RiskLevel>,
    /// Whether the token is sender-constrained and was shown with its proof.
    pub bound: bool,
    /// Whether this very call was confirmed.
    pub confirmed: bool,
}

impl<'a> Evidence<'a> {
    /// The evidence of a token alone: risk unknown, not bound, not confirmed.
    pub fn of(authentication: &'a Authentication) -> Self {
        Self { authentication, risk: None, bound: false, confirmed: false }
    }
}

impl Authentication {
    /// Seconds since the person authenticated, unless that is unknown. An `auth_time` ahead of our
    /// clock by no more than the skew is age 0; further ahead it is not believed.
    pub(crate) fn age(&self, now: u64) -> Option<u64> {
        let auth_time = self.auth_time?;
        match now.checked_sub(auth_time) {
            Some(age) => Some(age),
            None if auth_time - now <= u64::from(self.clock_skew) => Some(0),
            None => None,
        }
    }
}
