//! Edits of a body at known spans, so that every other byte stays as it came.

use std::ops::Range;

use bytes::Bytes;

/// Puts `with` in the place of the bytes at `at`; an empty range inserts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub at: Range<usize>,
    pub with: String,
}

impl Edit {
    pub fn insert(at: usize, with: impl Into<String>) -> Self {
        Self {
            at: at..at,
            with: with.into(),
        }
    }

    pub fn replace(at: Range<usize>, with: impl Into<String>) -> Self {
        Self {
            at,
            with: with.into(),
        }
    }
}

/// Applies edits that do not overlap. Without edits the same bytes come back, uncopied; edits at
/// one place keep their order.
pub fn apply(body: &Bytes, edits: &mut [Edit]) -> Bytes {
    if edits.is_empty() {
        return body.clone();
    }
    edits.sort_by_key(|edit| edit.at.start);
    let added: usize = edits.iter().map(|edit| edit.with.len()).sum();
    let mut out = Vec::with_capacity(body.len() + added);
    let mut from = 0;
    for edit in edits.iter() {
        debug_assert!(from <= edit.at.start, "edits overlap");
        out.extend_from_slice(&body[from..edit.at.start]);
        out.extend_from_slice(edit.with.as_bytes());
        from = edit.at.end;
    }
    out.extend_from_slice(&body[from..]);
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_change_their_spans_and_nothing_else() {
        let body = Bytes::from_static(br#"{"model": "a" , "n":1.50e+2}"#);
        let mut edits = [
            Edit::replace(10..13, r#""bcd""#),
            Edit::insert(1, r#""x":1,"#),
        ];
        assert_eq!(
            apply(&body, &mut edits),
            r#"{"x":1,"model": "bcd" , "n":1.50e+2}"#
        );
    }

    #[test]
    fn no_edits_copy_nothing() {
        let body = Bytes::from_static(b"{}");
        assert_eq!(apply(&body, &mut []).as_ptr(), body.as_ptr());
    }
}
