//! Where a client may put its key.

use http::HeaderMap;

use crate::base::{Fault, FaultKind};

/// The query parameter that Gemini's clients use.
const QUERY_KEY: &str = "key";

/// Does this `name=value` of a query carry a credential? The name may be written with escapes, which the
/// provider would understand.
pub fn is_query_key(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default();
    if !name.contains('%') {
        return name == QUERY_KEY;
    }
    let (mut bytes, mut plain) = (name.bytes(), Vec::new());
    while let Some(byte) = bytes.next() {
        let escaped = (byte == b'%').then(|| {
            let digit = |b: u8| char::from(b).to_digit(16);
            Some(digit(bytes.next()?)? * 16 + digit(bytes.next()?)?)
        });
        plain.push(escaped.flatten().map_or(byte, |value| value as u8));
    }
    plain == QUERY_KEY.as_bytes()
}

/// The credentials that a request carries: some clients send the same key in two headers.
#[derive(Debug, Default)]
pub struct Credentials<'a> {
    found: [Option<&'a [u8]>; 4],
}

impl<'a> Credentials<'a> {
    /// Looks at all places. `query_allowed`: the path is one on which `?key=` is understood.
    pub fn find(
        headers: &'a HeaderMap,
        query: &'a str,
        query_allowed: bool,
    ) -> Result<Self, Fault> {
        let in_query = query
            .split('&')
            .filter(|pair| is_query_key(pair))
            .find_map(|pair| pair.split_once('=').map(|(_, value)| value));
        if in_query.is_some() && !query_allowed {
            return Err(Fault::new(
                FaultKind::ApiKeyInQuery,
                "API keys in the query are not accepted on this path. Send the key as 'Authorization: Bearer sk-…' or 'x-api-key'.",
            )
            .param(QUERY_KEY));
        }
        let bearer = headers.get(http::header::AUTHORIZATION).and_then(|value| {
            let value = value.as_bytes();
            let (scheme, rest) = value.split_at_checked(7)?;
            scheme
                .eq_ignore_ascii_case(b"bearer ")
                .then(|| rest.trim_ascii())
        });
        let header = |name: &str| headers.get(name).map(|value| value.as_bytes().trim_ascii());
        let found = [
            bearer,
            header("x-api-key"),
            header("x-goog-api-key"),
            in_query.map(str::as_bytes),
        ];
        Ok(Self {
            found: found.map(|secret| secret.filter(|secret| !secret.is_empty())),
        })
    }

    pub fn is_empty(&self) -> bool {
        self.found.iter().all(Option::is_none)
    }

    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        self.found.iter().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    http::HeaderName::from_static(name),
                    value.parse().expect("a value"),
                )
            })
            .collect()
    }

    #[test]
    fn every_place_is_understood() {
        for (name, value) in [
            ("authorization", "Bearer sk-1"),
            ("authorization", "bearer  sk-1 "),
            ("x-api-key", "sk-1"),
            ("x-goog-api-key", "sk-1"),
        ] {
            let headers = headers(&[(name, value)]);
            let found = Credentials::find(&headers, "", false).expect("well placed");
            assert_eq!(found.iter().collect::<Vec<_>>(), [b"sk-1"], "{name}");
        }
        let none = headers(&[("authorization", "Basic c2s="), ("x-api-key", "")]);
        assert!(
            Credentials::find(&none, "", false)
                .expect("none")
                .is_empty()
        );
    }

    #[test]
    fn the_query_is_for_gemini_only() {
        let headers = HeaderMap::new();
        let found = Credentials::find(&headers, "alt=sse&key=sk-1", true).expect("allowed");
        assert_eq!(found.iter().collect::<Vec<_>>(), [b"sk-1"]);
        let fault = Credentials::find(&headers, "key=sk-1", false).expect_err("refused");
        assert_eq!(fault.kind, FaultKind::ApiKeyInQuery);
        let escaped = Credentials::find(&headers, "%6bey=sk-1", false).expect_err("refused");
        assert_eq!(escaped.kind, FaultKind::ApiKeyInQuery);
        assert!(
            Credentials::find(&headers, "monkey=1", false)
                .expect("other")
                .is_empty()
        );
    }
}
