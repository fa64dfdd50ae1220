//! JSON by appending: an object that minds its commas.

/// Appends the members of an object.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

/// Appends a text as a JSON string.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    // A string always serialises, and a vector always takes it.
    let _ = serde_json::to_writer(out, text);
}

pub(super) fn number(out: &mut Vec<u8>, number: u64) {
    let _ = serde_json::to_writer(out, &number);
}

impl<'o> Object<'o> {
    pub(super) fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    /// `name`: without anything to escape.
    pub(super) fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// A name that may hold anything.
    pub(super) fn named(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        string(self.out, name);
        self.out.push(b':');
        self.out
    }

    pub(super) fn text(&mut self, name: &str, text: &str) {
        string(self.key(name), text);
    }

    pub(super) fn number(&mut self, name: &str, value: u64) {
        number(self.key(name), value);
    }

    /// JSON as it is.
    pub(super) fn raw(&mut self, name: &str, json: &str) {
        self.key(name).extend_from_slice(json.as_bytes());
    }

    pub(super) fn bytes(&mut self, name: &str, json: &[u8]) {
        self.key(name).extend_from_slice(json);
    }

    pub(super) fn texts<'t>(&mut self, name: &str, texts: impl IntoIterator<Item = &'t str>) {
        let out = self.key(name);
        list(out, texts, string);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first
    }

    pub(super) fn close(self) {
        self.out.push(b'}');
    }
}

/// Appends a list.
pub(super) fn list<T>(
    out: &mut Vec<u8>,
    all: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (at, one) in all.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(out, one);
    }
    out.push(b']');
}

/// Arguments as the object that they must be: what is none is its `input`.
pub(super) fn arguments(out: &mut Vec<u8>, text: &str, custom: bool) {
    let text = text.trim();
    let valid = || serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    if custom || (!text.is_empty() && !valid()) {
        let mut object = Object::open(out);
        object.text("input", text);
        object.close();
    } else if text.is_empty() {
        out.extend_from_slice(b"{}");
    } else if text.starts_with('{') {
        out.extend_from_slice(one_line(text).as_bytes());
    } else if text == "null" {
        out.extend_from_slice(b"{}");
    } else {
        let mut object = Object::open(out);
        object.raw("input", &one_line(text));
        object.close();
    }
}

/// JSON without line ends, which would break the event that it stands in. They are legal only between its words.
fn one_line(json: &str) -> std::borrow::Cow<'_, str> {
    if json.contains(['\n', '\r']) {
        json.replace(['\n', '\r'], "").into()
    } else {
        json.into()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn arguments_are_always_an_object() {
        for (text, custom, expected) in [
            ("", false, "{}"),
            ("{\"a\": 1.50e+2}", false, "{\"a\": 1.50e+2}"),
            ("{\n \"a\":\r\n1}", false, "{ \"a\":1}"),
            ("[1]", false, "{\"input\":[1]}"),
            ("{\"a\":", false, "{\"input\":\"{\\\"a\\\":\"}"),
            ("*** Begin", true, "{\"input\":\"*** Begin\"}"),
        ] {
            let mut out = Vec::new();
            super::arguments(&mut out, text, custom);
            assert_eq!(String::from_utf8(out).as_deref(), Ok(expected));
        }
    }
}
