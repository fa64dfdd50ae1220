//! Signatures on foreign ground. A client sends reasoning back in the field that its own protocol has for it; a signature
//! that another provider made stands there sealed: base64 that says whose it is, so that it finds its way back to its
//! maker and never reaches another.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::part::Signature;
use super::request::Text;

/// A multiple of three bytes, so that each seal begins with the same characters.
const MARK: &str = "torouter:";
/// How each sealed signature begins: what to look for in a body.
pub const SEALED: &str = "dG9yb3V0ZXI6";

/// Base64 without line ends; valid wherever a protocol wants bytes.
pub fn seal(signature: &Signature<'_>) -> String {
    STANDARD.encode(format!("{MARK}{}:{}", signature.origin, signature.data))
}

/// `None`: it was not sealed here; it is the maker's own.
pub fn unseal(written: &str) -> Option<Signature<'static>> {
    if !written.starts_with(SEALED) {
        return None;
    }
    let bytes = STANDARD.decode(written).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (origin, data) = text.strip_prefix(MARK)?.split_once(':')?;
    Some(Signature {
        origin: Text::Owned(origin.to_owned()),
        data: Text::Owned(data.to_owned()),
    })
}

/// What stands in a protocol's own field: its own maker's, or a sealed one.
pub fn read<'a>(own: &'static str, written: impl Into<Text<'a>>) -> Signature<'a> {
    let written = written.into();
    unseal(&written).unwrap_or_else(|| Signature::new(own, written))
}

/// How a signature is written into the field of the protocol `own`.
pub fn write<'a>(own: &str, signature: &'a Signature<'_>) -> Text<'a> {
    if signature.origin == own {
        Text::Borrowed(&signature.data)
    } else {
        Text::Owned(seal(signature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_signature_comes_back_to_its_maker_as_it_was() {
        for data in ["", "Eq/+==", "a:b", "ünïcode"] {
            let signature = Signature::new("x", data.to_owned());
            let sealed = seal(&signature);
            assert!(sealed.starts_with(SEALED));
            assert_eq!(unseal(&sealed), Some(signature.clone()));
            assert_eq!(read("y", sealed.as_str()), signature);
            assert_eq!(write("x", &signature), data);
            assert_eq!(write("y", &signature), sealed);
        }
        assert_eq!(unseal("EqQBCgIYAh"), None);
        assert_eq!(unseal("dG9yb3V0ZXI6!!"), None);
    }
}
