//! Ids, hashes, times and the signatures of reasoning.
//!
//! A signature says who made it and can be checked, so that one that comes back altered, or that another
//! provider made, is refused as the real ones refuse it.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use rand::Rng;
use sha2::{Digest, Sha256};

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// `prefix` and `len` random letters and digits.
pub(super) fn id(prefix: &str, len: usize) -> String {
    let mut random = rand::rng();
    let mut out = String::with_capacity(prefix.len() + len);
    out.push_str(prefix);
    for _ in 0..len {
        let at = random.random_range(0..ALPHABET.len());
        out.push(char::from(ALPHABET[at]));
    }
    out
}

/// A number between 0 and 1, for faults by chance.
pub(super) fn chance() -> f64 {
    rand::rng().random_range(0.0..1.0)
}

/// Lower-case hex of some bytes.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
        out.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
    }
    out
}

/// SHA-256 of some bytes as hex.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// Seconds since 1970.
pub(super) fn now_s() -> u64 {
    now_ms() / 1000
}

/// A moment as RFC 3339 with seconds, in UTC (Anthropic's reset headers).
pub(super) fn rfc3339(seconds: u64) -> String {
    let days = i64::try_from(seconds / 86_400).unwrap_or(0);
    let rest = seconds % 86_400;
    // Days to a date by eras of 400 years that begin on 1 March, so that the leap day is the last.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_of_year = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_of_year + 2) / 5 + 1;
    let month = if month_of_year < 10 {
        month_of_year + 3
    } else {
        month_of_year - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3_600,
        rest % 3_600 / 60,
        rest % 60
    )
}

fn seal(maker: &str, nonce: &str, text: &str) -> String {
    sha256(format!("torouter-simulator\n{maker}\n{nonce}\n{text}").as_bytes())
}

/// A signature of `maker` over `text`.
pub(super) fn sign(maker: &str, text: &str) -> String {
    let nonce = id("", 12);
    let sealed = seal(maker, &nonce, text);
    STANDARD.encode(format!("sim:{maker}:{nonce}:{sealed}"))
}

/// Whether `maker` signed exactly this text.
pub(super) fn genuine(maker: &str, signature: &str, text: &str) -> bool {
    // Protobuf's JSON form lets clients send bytes in either alphabet.
    let decoded = STANDARD
        .decode(signature)
        .or_else(|_| URL_SAFE.decode(signature))
        .or_else(|_| URL_SAFE_NO_PAD.decode(signature));
    let Ok(bytes) = decoded else { return false };
    let Ok(plain) = String::from_utf8(bytes) else {
        return false;
    };
    let mut fields = plain.split(':');
    let head = (fields.next(), fields.next());
    let (Some(nonce), Some(sealed), None) = (fields.next(), fields.next(), fields.next()) else {
        return false;
    };
    head == (Some("sim"), Some(maker)) && sealed == seal(maker, nonce, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_maker_and_text_only() {
        let signature = sign("anthropic", "thought");
        assert!(genuine("anthropic", &signature, "thought"));
        assert!(!genuine("anthropic", &signature, "thought!"));
        assert!(!genuine("gemini", &signature, "thought"));
        assert!(!genuine("anthropic", "AAAA", "thought"));
    }

    #[test]
    fn a_moment_reads_as_a_date() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_785_711_732), "2026-08-02T23:02:12Z");
    }
}
