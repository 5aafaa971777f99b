//! How DPoP proofs are checked: what a program configures.

use std::fmt;

/// How DPoP proofs are checked. Proofs are accepted once [`Builder::resource`](crate::Builder::resource) states the
/// address that they must be made for.
#[derive(Clone)]
#[must_use = "pass it to StepUp::builder().dpop(…)"]
pub struct Dpop {
    pub(crate) max_age: u32,
    pub(crate) nonce_key: Option<[u8; 32]>,
    pub(crate) capacity: usize,
}

impl Default for Dpop {
    /// A proof may be 60 seconds old, no nonce is required, and 200,000 proofs are remembered.
    fn default() -> Self {
        Self { max_age: 60, nonce_key: None, capacity: 200_000 }
    }
}

impl Dpop {
    /// The maximum age of a proof (`iat`) in seconds: 60 by default. A proof may be 30 seconds ahead of this API's
    /// clock.
    pub fn max_age(mut self, seconds: u32) -> Self {
        self.max_age = seconds;
        self
    }

    /// Requires a nonce of this API in each proof (RFC 9449 §9). Instances that serve the same clients share the key,
    /// 32 random bytes.
    pub fn nonces(mut self, key: [u8; 32]) -> Self {
        self.nonce_key = Some(key);
        self
    }

    /// How many proofs are remembered, so that none is used twice: 200,000 by default, which is enough for 2,200
    /// requests a second from all clients together. One caller (a subject of an issuer) can use an eighth of the
    /// capacity, with any number of keys. Further proofs are refused with 503 until older ones expire.
    pub fn remembered_proofs(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }
}

impl fmt::Debug for Dpop {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dpop").field("max_age", &self.max_age).finish_non_exhaustive()
    }
}
