//! Request ids.

use rand::Rng;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// `req_` and 24 hexadecimal digits, unique enough to find one request in a log.
pub fn request_id() -> String {
    let mut id = String::with_capacity(28);
    id.push_str("req_");
    let mut bits: u128 = rand::rng().random();
    for _ in 0..24 {
        id.push(char::from(HEX[(bits & 15) as usize]));
        bits >>= 4;
    }
    id
}

/// Makes the ids that an answer needs, from one seed: the same answer gets the same ids.
#[derive(Clone, Debug)]
pub struct Ids {
    state: u64,
}

impl Ids {
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub fn random() -> Self {
        Self::new(rand::rng().random())
    }

    /// `prefix` and 24 letters and digits.
    pub fn next(&mut self, prefix: &str) -> String {
        const WORD: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut id = String::with_capacity(prefix.len() + 24);
        id.push_str(prefix);
        for _ in 0..3 {
            // SplitMix64 (https://prng.di.unimi.it/splitmix64.c).
            self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            for _ in 0..8 {
                id.push(char::from(WORD[(z % 62) as usize]));
                z /= 62;
            }
        }
        id
    }
}

/// May an id that a client sent be kept? 1–128 characters of `A-Za-z0-9_.-`.
pub fn is_valid_request_id(id: &[u8]) -> bool {
    (1..=128).contains(&id.len())
        && id
            .iter()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_ids_are_valid_and_differ() {
        let (a, b) = (request_id(), request_id());
        assert!(is_valid_request_id(a.as_bytes()));
        assert_ne!(a, b);
    }

    #[test]
    fn ids_with_other_characters_or_lengths_are_refused() {
        assert!(!is_valid_request_id(b""));
        assert!(!is_valid_request_id(b"a b"));
        assert!(!is_valid_request_id(&[b'a'; 129]));
        assert!(is_valid_request_id(&[b'a'; 128]));
    }
}
