//! Text that must never be shown: credentials of clients and of channels.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A credential. `Debug` and `Display` hide it; only `expose` shows it, at the one place that sends it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A keyed hash of a client's secret: what the key ring is searched by, so that neither the
/// search nor its timing tells anything about the secrets in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest([u8; 32]);

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(…)")
    }
}

impl KeyDigest {
    /// As it is kept.
    pub fn of_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub fn bytes(&self) -> [u8; 32] {
        self.0
    }
}

/// The key that digests are made with: a random one of this process, or the server's own that outlives it.
#[derive(Clone)]
pub struct DigestKey(Hmac<Sha256>);

impl DigestKey {
    pub fn new(key: &[u8; 32]) -> Self {
        // HMAC fills a key that is shorter than its block with zeros.
        let mut block = [0; 64];
        block[..32].copy_from_slice(key);
        Self(Hmac::new(&block.into()))
    }

    pub fn random() -> Self {
        Self::new(&rand::random())
    }

    pub fn digest(&self, secret: &[u8]) -> KeyDigest {
        let mut mac = self.0.clone();
        mac.update(secret);
        KeyDigest(mac.finalize().into_bytes().into())
    }
}

impl KeyDigest {
    /// Equality in time that does not depend on where two digests differ.
    pub fn same(&self, other: &Self) -> bool {
        let difference = self
            .0
            .iter()
            .zip(&other.0)
            .fold(0, |acc, (a, b)| acc | (a ^ b));
        std::hint::black_box(difference) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown_by_debug() {
        assert_eq!(format!("{:?}", Secret::new("sk-123")), "Secret(…)");
    }

    #[test]
    fn digests_agree_for_one_key_and_differ_between_keys() {
        let (a, b) = (DigestKey::random(), DigestKey::random());
        assert!(a.digest(b"sk-1").same(&a.digest(b"sk-1")));
        assert!(!a.digest(b"sk-1").same(&a.digest(b"sk-2")));
        assert!(!a.digest(b"sk-1").same(&b.digest(b"sk-1")));
    }
}
