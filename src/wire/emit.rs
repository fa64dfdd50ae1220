//! Writes JSON by appending: no tree is built, the order of fields is that of the calls, and raw pieces stay as they are.

use serde_json::value::RawValue;

/// Appends a text as a JSON string.
pub fn string(out: &mut Vec<u8>, text: &str) {
    // Writing to a vector does not fail, and a text is always JSON.
    let _ = serde_json::to_writer(out, text);
}

/// Appends a whole number.
pub fn number(out: &mut Vec<u8>, mut n: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// An object or a list that is being written. It is closed by `end`.
#[derive(Debug)]
pub struct Emit<'o> {
    pub out: &'o mut Vec<u8>,
    begun: bool,
    end: u8,
}

impl<'o> Emit<'o> {
    pub fn object(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self {
            out,
            begun: false,
            end: b'}',
        }
    }

    pub fn list(out: &'o mut Vec<u8>) -> Self {
        out.push(b'[');
        Self {
            out,
            begun: false,
            end: b']',
        }
    }

    /// Where the next element of a list is to be written.
    pub fn item(&mut self) -> &mut Vec<u8> {
        if self.begun {
            self.out.push(b',');
        }
        self.begun = true;
        self.out
    }

    /// Where the value of this field is to be written. The name needs no escapes.
    pub fn key(&mut self, name: &str) -> &mut Vec<u8> {
        let out = self.item();
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        out
    }

    pub fn text(&mut self, name: &str, text: &str) {
        string(self.key(name), text);
    }

    pub fn text_if(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    pub fn count(&mut self, name: &str, n: u64) {
        number(self.key(name), n);
    }

    pub fn yes(&mut self, name: &str, yes: bool) {
        self.literal(name, if yes { "true" } else { "false" });
    }

    /// A field whose value is JSON already.
    pub fn literal(&mut self, name: &str, json: &str) {
        self.key(name).extend_from_slice(json.as_bytes());
    }

    pub fn raw_if(&mut self, name: &str, raw: Option<&RawValue>) {
        if let Some(raw) = raw {
            self.literal(name, raw.get());
        }
    }

    pub fn nested(&mut self, name: &str) -> Emit<'_> {
        Emit::object(self.key(name))
    }

    pub fn nested_list(&mut self, name: &str) -> Emit<'_> {
        Emit::list(self.key(name))
    }

    pub fn nested_item(&mut self) -> Emit<'_> {
        Emit::object(self.item())
    }

    pub fn end(self) {
        self.out.push(self.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_stand_between_and_nowhere_else() {
        let mut out = Vec::new();
        let mut object = Emit::object(&mut out);
        object.text("a", "é\n\"");
        object.count("b", 0);
        object.count("c", u64::MAX);
        let mut list = object.nested_list("d");
        list.nested_item().end();
        list.nested_item().end();
        list.end();
        object.nested("e").end();
        object.yes("f", false);
        object.end();
        assert_eq!(
            String::from_utf8(out).expect("text"),
            r#"{"a":"é\n\"","b":0,"c":18446744073709551615,"d":[{},{}],"e":{},"f":false}"#
        );
    }
}
