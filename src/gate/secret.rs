//! The secrets of keys in the store: how one is made, and what of it is kept.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::base::Secret;
use crate::base::secret::DigestKey;

/// A new secret of 256 random bits. It is shown once and kept nowhere.
pub fn make() -> Secret {
    let bits: [u8; 32] = rand::random();
    Secret::new(format!("sk-{}", URL_SAFE_NO_PAD.encode(bits)))
}

/// What the store keeps of a secret: HMAC-SHA256 under the server's own.
pub fn digest(server_secret: &[u8; 32], secret: &[u8]) -> [u8; 32] {
    DigestKey::new(server_secret).digest(secret).bytes()
}

/// Of shorter secrets, four characters would tell too much.
const HINTED: usize = 20;

/// What a person recognises a secret by; `-`, where it is not known.
pub fn hint(secret: &Secret) -> String {
    let text = secret.expose();
    if text.is_empty() {
        return "-".to_owned();
    }
    let start = if text.starts_with("sk-") { "sk-" } else { "" };
    let length = text.chars().count();
    let end = text.chars().skip(length.saturating_sub(4));
    let end: String = end.filter(|_| length >= HINTED).collect();
    format!("{start}…{end}")
}

/// What a command on the same store shows to the gateway, so that it reads the keys anew. It opens nothing else.
pub fn sync_token(server_secret: &[u8; 32]) -> String {
    let digest = digest(server_secret, b"torouter admin");
    let mut token = String::with_capacity(2 * digest.len());
    for byte in digest {
        // Writing to a string cannot fail.
        let _ = write!(token, "{byte:02x}");
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_have_256_bits() {
        let (a, b) = (make(), make());
        assert_ne!(a, b);
        let bits = URL_SAFE_NO_PAD.decode(&a.expose()[3..]).expect("base64url");
        assert_eq!(bits.len(), 32);
    }

    #[test]
    fn a_digest_is_hmac_sha256() {
        // RFC 4231, test case 2, with its key filled with zeros, which changes nothing.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let digest = digest(&key, b"what do ya want for nothing?");
        assert_eq!(
            digest[..8],
            [0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e]
        );
    }

    #[test]
    fn a_hint_shows_the_last_four_characters_of_a_long_secret_only() {
        for (secret, wanted) in [
            ("sk-abcdefghijklmnopq", "sk-…nopq"),
            ("sk-abcdefghijklmnop", "sk-…"),
            ("sk-a", "sk-…"),
            ("abcdefghijklmnopqrst", "…qrst"),
            ("abcdefghijklmnopqrs", "…"),
            ("éééééééééé", "…"),
            ("", "-"),
        ] {
            assert_eq!(hint(&Secret::new(secret)), wanted);
        }
    }
}
