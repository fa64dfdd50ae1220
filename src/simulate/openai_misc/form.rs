//! The parts of a multipart body.

use crate::simulate::exchange::Problem;

/// The parts of a multipart body, as far as they are needed here.
pub(super) struct Form<'a> {
    parts: Vec<(String, &'a [u8])>,
}

impl<'a> Form<'a> {
    pub(super) fn read(content_type: &str, body: &'a [u8]) -> Result<Self, Problem> {
        let boundary = content_type
            .split(';')
            .find_map(|field| field.trim().strip_prefix("boundary="));
        let Some(boundary) = boundary
            .map(|boundary| boundary.trim_matches('"'))
            .filter(|boundary| !boundary.is_empty())
        else {
            return Err(Problem::bad(
                "Could not parse multipart form: missing boundary in the content type.",
            ));
        };
        let mark = format!("--{boundary}");
        let starts: Vec<usize> = memchr::memmem::find_iter(body, mark.as_bytes()).collect();
        let mut parts = Vec::new();
        for pair in starts.windows(2) {
            let part = &body[pair[0] + mark.len()..pair[1]];
            // CRLF, headers, an empty line, the content, CRLF.
            let Some(end) = memchr::memmem::find(part, b"\r\n\r\n") else {
                continue;
            };
            let head = String::from_utf8_lossy(&part[..end]).into_owned();
            let content = part[end + 4..]
                .strip_suffix(b"\r\n")
                .unwrap_or(&part[end + 4..]);
            if let Some(name) = field_name(&head) {
                parts.push((name, content));
            }
        }
        if parts.is_empty() {
            return Err(Problem::bad("Could not parse multipart form: no parts."));
        }
        Ok(Form { parts })
    }

    pub(super) fn bytes(&self, name: &str) -> Option<&'a [u8]> {
        self.parts
            .iter()
            .find(|(one, _)| one == name)
            .map(|(_, content)| *content)
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.bytes(name)
            .map(|content| String::from_utf8_lossy(content).into_owned())
    }

    pub(super) fn names(&self, name: &str) -> usize {
        self.parts.iter().filter(|(one, _)| one == name).count()
    }
}

/// `name` of a part's `content-disposition`, with or without quotes.
fn field_name(head: &str) -> Option<String> {
    let line = head.lines().find(|line| {
        line.to_ascii_lowercase()
            .starts_with("content-disposition:")
    })?;
    line.split(';')
        .find_map(|field| field.trim().strip_prefix("name="))
        .map(|name| name.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_far_as_needed() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ngpt-image-1\r\n--x\r\ncontent-disposition: form-data; name=\"image[]\"; filename=\"a.png\"\r\n\r\n\x89PNG\r\n\r\n--x--\r\n";
        let form = Form::read("multipart/form-data; boundary=x", body).expect("a form");
        assert_eq!(form.text("model").as_deref(), Some("gpt-image-1"));
        assert_eq!(form.bytes("image[]"), Some(&b"\x89PNG\r\n"[..]));
    }
}
