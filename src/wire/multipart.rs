//! Fields of a `multipart/form-data` body (RFC 7578), found without decoding or copying the files.

use std::ops::Range;

use memchr::memmem;

/// What is wrong with a multipart body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MultipartError(pub &'static str);

/// The boundary out of a `content-type: multipart/form-data; boundary=…`.
pub fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        (name.trim().eq_ignore_ascii_case("boundary") && (1..=70).contains(&value.len()))
            .then_some(value)
    })
}

/// Calls `on_field` with the name of each part that is no file, and where its value stands.
pub fn scan_fields(
    body: &[u8],
    boundary: &str,
    mut on_field: impl FnMut(&str, Range<usize>),
) -> Result<(), MultipartError> {
    const CUT: MultipartError = MultipartError("the last part does not end with the boundary");
    let delimiter = format!("--{boundary}");
    let finder = memmem::Finder::new(delimiter.as_bytes());
    let mut at = finder.find(body).ok_or(MultipartError(
        "the boundary of the content-type is not in the body",
    ))? + delimiter.len();
    for _ in 0..10_000 {
        if body[at..].starts_with(b"--") {
            return Ok(());
        }
        let head_end = at + memmem::find(&body[at..], b"\r\n\r\n").ok_or(CUT)?;
        let value_start = head_end + 4;
        let next = value_start - 2
            + memmem::find(
                &body[value_start - 2..],
                format!("\r\n{delimiter}").as_bytes(),
            )
            .ok_or(CUT)?;
        if let Some(name) = field_name(&body[at..head_end]) {
            on_field(name, value_start..next.max(value_start));
        }
        at = next + 2 + delimiter.len();
    }
    Err(MultipartError("more than 10000 parts"))
}

/// The name in a part's `content-disposition`, unless the part is a file.
fn field_name(head: &[u8]) -> Option<&str> {
    let head = std::str::from_utf8(head).ok()?;
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim()
            .eq_ignore_ascii_case("content-disposition")
            .then_some(value)
    })?;
    let mut name = None;
    for parameter in disposition.split(';').skip(1) {
        let (key, value) = parameter.split_once('=')?;
        match key.trim() {
            "name" => name = Some(value.trim().trim_matches('"')),
            "filename" | "filename*" => return None,
            _ => {}
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "--b1\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\n\
        Content-Type: image/png\r\n\r\n\u{1}\u{2}\r\n--b\r\nname=\"model\"\r\n--b1\r\n\
        content-disposition: form-data; name=\"model\"\r\n\r\ngpt-image-1\r\n--b1\r\n\
        Content-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--b1--\r\n";

    #[test]
    fn fields_are_found_between_files() {
        let mut found = Vec::new();
        scan_fields(BODY.as_bytes(), "b1", |name, at| {
            found.push((name.to_owned(), BODY[at].to_owned()));
        })
        .expect("well formed");
        assert_eq!(
            found,
            [
                ("model".to_owned(), "gpt-image-1".to_owned()),
                ("empty".to_owned(), String::new())
            ]
        );
    }

    #[test]
    fn a_body_that_is_cut_is_refused() {
        for end in [3, 20, 100, BODY.len() - 10] {
            assert!(
                scan_fields(&BODY.as_bytes()[..end], "b1", |_, _| {}).is_err(),
                "{end}"
            );
        }
    }

    #[test]
    fn boundaries_are_read_quoted_or_not() {
        assert_eq!(boundary("multipart/form-data; boundary=abc"), Some("abc"));
        assert_eq!(
            boundary("Multipart/Form-Data; charset=x; boundary=\"a b\""),
            Some("a b")
        );
        assert_eq!(boundary("application/json"), None);
        assert_eq!(boundary("multipart/form-data; boundary="), None);
    }
}
