//! Nonces that a client must put into its proofs (RFC 9449 §9), so that none can be made in advance. A
//! nonce is a time and its MAC: nothing is stored, and instances with the same key accept each
//! other's.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;

/// Seconds after which a new nonce is given out. The one before is accepted for as long again.
const LIFE: u64 = 120;

/// Gives out nonces and knows them again.
pub(crate) struct Nonces(hmac::Key);

impl Nonces {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The nonce of this time.
    pub(crate) fn current(&self, now: u64) -> String {
        self.of(now / LIFE)
    }

    /// Whether a nonce was given out not long ago.
    pub(crate) fn knows(&self, nonce: &str, now: u64) -> bool {
        let slot = now / LIFE;
        let equal = |known: String| {
            aws_lc_rs::constant_time::verify_slices_are_equal(known.as_bytes(), nonce.as_bytes())
                .is_ok()
        };
        equal(self.of(slot)) || slot.checked_sub(1).is_some_and(|before| equal(self.of(before)))
    }

    fn of(&self, slot: u64) -> String {
        let slot = slot.to_be_bytes();
        let tag = hmac::sign(&self.0, &slot);
        URL_SAFE_NO_PAD.encode([&slot, &tag.as_ref()[..16]].concat())
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
    fn a_nonce_is_known_for_two_lives_and_only_to_those_who_have_the_key() {
        let nonces = Nonces::new(&[7; 32]);
        let nonce = nonces.current(1_000_000_000);
        let slot = 1_000_000_000 / LIFE * LIFE;
        assert!(nonces.knows(&nonce, slot) && nonces.knows(&nonce, slot + 2 * LIFE - 1));
        assert!(!nonces.knows(&nonce, slot - 1) && !nonces.knows(&nonce, slot + 2 * LIFE));
        assert!(!Nonces::new(&[8; 32]).knows(&nonce, slot));
        assert!(!nonces.knows("", slot));
    }
}
