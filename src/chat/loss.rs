//! What a translation could not carry over.

use std::borrow::Cow;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The answer means the same without it: dropped, counted and named in a response header.
    Cosmetic,
    /// Without it the answer would mean something else: the request is refused.
    Meaning,
}

/// One field of the client's request that has no counterpart on the platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The field as the client's protocol spells it: `logit_bias`, `messages[2].content[0].input_audio`.
    pub path: Cow<'static, str>,
    pub severity: Severity,
    /// Why, and how to mend it; a sentence for the client. Only for `Meaning`.
    pub why: Cow<'static, str>,
}

impl Loss {
    pub fn cosmetic(path: impl Into<Cow<'static, str>>) -> Self {
        Self {
            path: path.into(),
            severity: Severity::Cosmetic,
            why: Cow::Borrowed(""),
        }
    }

    pub fn meaning(path: impl Into<Cow<'static, str>>, why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            path: path.into(),
            severity: Severity::Meaning,
            why: why.into(),
        }
    }
}

/// The names that a client may give its header: what is left out, without repeats, bounded.
pub fn header(losses: &[Loss]) -> Option<String> {
    const MOST: usize = 1024;
    let mut names: Vec<String> = Vec::new();
    let mut length = 0;
    for loss in losses {
        // A header takes no spaces or controls, and a client chose some of these names.
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || "_.[]-$:".contains(*c);
        let name: String = loss.path.chars().filter(is_plain).take(96).collect();
        if name.is_empty() || names.contains(&name) || length + name.len() > MOST {
            continue;
        }
        length += name.len() + 1;
        names.push(name);
    }
    (!names.is_empty()).then(|| names.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_names_each_once_and_holds_no_line_ends() {
        let losses = [
            Loss::cosmetic("logit_bias"),
            Loss::cosmetic("logit_bias"),
            Loss::cosmetic("a\r\nb: c"),
        ];
        assert_eq!(header(&losses).as_deref(), Some("logit_bias,ab:c"));
        assert_eq!(header(&[]), None);
        let many: Vec<Loss> = (0..1000)
            .map(|i| Loss::cosmetic(format!("field{i}")))
            .collect();
        assert!(header(&many).is_some_and(|text| text.len() <= 1024));
    }
}
