//! SHA-256 digests, the keys of caches.

use aws_lc_rs::digest::SHA256;

/// A SHA-256 digest.
pub(crate) type Digest = [u8; 32];

/// The SHA-256 digest of these bytes.
pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    let mut digest = [0; 32];
    digest.copy_from_slice(aws_lc_rs::digest::digest(&SHA256, bytes).as_ref());
    digest
}
