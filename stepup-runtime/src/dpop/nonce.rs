//! Nonces for DPoP proofs (RFC 9449 §9), so that no proof can be made in advance. A nonce is a time and its MAC:
//! nothing is stored, and instances with the same key accept each other's nonces.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;

/// Seconds after which a new nonce is issued. The previous nonce is accepted for the same time again.
const LIFETIME: u64 = 120;

/// Issues nonces and checks them.
pub(crate) struct Nonces(hmac::Key);

impl Nonces {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The nonce for this time.
    pub(crate) fn current(&self, now: u64) -> String {
        self.for_period(now / LIFETIME)
    }

    /// Whether a nonce was issued recently.
    pub(crate) fn accepts(&self, nonce: &str, now: u64) -> bool {
        let period = now / LIFETIME;
        let equal = |issued: String| {
            aws_lc_rs::constant_time::verify_slices_are_equal(issued.as_bytes(), nonce.as_bytes())
                .is_ok()
        };
        equal(self.for_period(period))
            || period.checked_sub(1).is_some_and(|previous| equal(self.for_period(previous)))
    }

    fn for_period(&self, period: u64) -> String {
        let period = period.to_be_bytes();
        let tag = hmac::sign(&self.0, &period);
        URL_SAFE_NO_PAD.encode([&period, &tag.as_ref()[..16]].concat())
    }
}

impl fmt::Debug for Nonces {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonces")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_accepted_for_two_lifetimes_and_only_with_the_same_key() {
        let nonces = Nonces::new(&[7; 32]);
        let nonce = nonces.current(1_000_000_000);
        let start = 1_000_000_000 / LIFETIME * LIFETIME;
        assert!(nonces.accepts(&nonce, start) && nonces.accepts(&nonce, start + 2 * LIFETIME - 1));
        assert!(
            !nonces.accepts(&nonce, start - 1) && !nonces.accepts(&nonce, start + 2 * LIFETIME)
        );
        assert!(!Nonces::new(&[8; 32]).accepts(&nonce, start));
        assert!(!nonces.accepts("", start));
    }
}
