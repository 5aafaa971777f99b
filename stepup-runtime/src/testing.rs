//! For tests and examples: a development issuer on loopback, a client that holds a key, and a clock to
//! set. Never for production: whoever can reach the issuer can have any token.

mod committed;
mod holder;
mod issuer;
mod token;

use crate::clock::{Clock, SystemClock};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use crate::guard::Guard;
pub use committed::assert_contract_current;
pub use holder::{TestHolder, TestProof};
pub use issuer::TestIssuer;
pub use token::TestToken;

/// The audience of [`TestIssuer::issuer`] and of the tokens it mints.
pub const AUDIENCE: &str = "https://api.test";

/// What a test issuer or a [`TestHolder`] signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TestAlgorithm {
    /// ECDSA with P-256.
    #[default]
    Es256,
    /// RSA PKCS #1 v1.5 with 2048 bits.
    Rs256,
    /// Ed25519.
    EdDsa,
}

/// A clock that stands still until it is set. Clones share the time.
#[derive(Debug, Clone)]
pub struct TestClock(Arc<AtomicU64>);

impl TestClock {
    /// A clock that shows this time, in seconds since the epoch.
    pub fn at(now: u64) -> Self {
        Self(Arc::new(AtomicU64::new(now)))
    }

    /// A clock that shows the system's time.
    pub fn system() -> Self {
        Self::at(SystemClock.now())
    }

    /// Moves it ahead.
    pub fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Sets it.
    pub fn set(&self, now: u64) {
        self.0.store(now, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}
