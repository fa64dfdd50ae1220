//! `reasoning_details`: OpenRouter's form of reasoning and its proofs
//! (<https://openrouter.ai/docs/use-cases/reasoning-tokens#reasoning_details-array-structure>), which clients get from
//! us, too.
//!
//! An entry of OpenRouter's own goes back as it came. It is kept as a signature of origin `reasoning_details`: its JSON
//! without the text, which is the reasoning's own.
//!
//! In a stream the text of reasoning stands in `reasoning_content`, and the entry that follows says which characters
//! of it are its own: `text_start`, `text_length`.

use std::borrow::Cow;

use super::loose::{Loose, LooseCount, filled};
use crate::chat::{Reasoning, Signature, Text, seal};
use crate::wire::emit::Emit;
use crate::wire::read::object;

/// The origin of OpenRouter's entries.
pub(super) const DETAILS: &str = "reasoning_details";

object! {
    pub(super) struct Detail<'a> {
        "type" => kind: Loose<'a>,
        "text" => text: Loose<'a>,
        "summary" => summary: Loose<'a>,
        "signature" => signature: Loose<'a>,
        "data" => data: Loose<'a>,
        "id" => id: Loose<'a>,
        "format" => format: Loose<'a>,
        "index" => index: LooseCount,
        "text_start" => text_start: LooseCount,
        "text_length" => text_length: LooseCount,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Summary,
    Encrypted,
}

/// What is known of an entry without its text; a streamed one comes in pieces.
#[derive(Clone, Debug)]
pub(super) struct Facts<'a> {
    pub(super) kind: Kind,
    pub(super) signature: Option<Cow<'a, str>>,
    pub(super) data: Option<Cow<'a, str>>,
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) format: Option<Cow<'a, str>>,
    pub(super) index: Option<u64>,
}

impl<'a> Detail<'a> {
    /// What the entry is; `None`: no reasoning (`reasoning.server_tool_call`, or what is yet to come).
    pub(super) fn kind(&self) -> Option<Kind> {
        match self.kind.as_ref()?.0.as_deref()? {
            "reasoning.text" => Some(Kind::Text),
            "reasoning.summary" => Some(Kind::Summary),
            "reasoning.encrypted" => Some(Kind::Encrypted),
            _ => None,
        }
    }

    /// Its text (empty where it has none), and the rest.
    pub(super) fn split(self, kind: Kind) -> (Cow<'a, str>, Facts<'a>) {
        let text = filled(self.text).or(filled(self.summary));
        let facts = Facts {
            kind,
            signature: filled(self.signature),
            data: filled(self.data),
            id: filled(self.id),
            format: filled(self.format),
            index: self.index.and_then(|index| index.0),
        };
        (text.unwrap_or_default(), facts)
    }
}

fn own(text: Option<Cow<'_, str>>) -> Option<Cow<'static, str>> {
    text.map(|text| Cow::Owned(text.into_owned()))
}

impl Facts<'_> {
    pub(super) fn into_owned(self) -> Facts<'static> {
        Facts {
            kind: self.kind,
            signature: own(self.signature),
            data: own(self.data),
            id: own(self.id),
            format: own(self.format),
            index: self.index,
        }
    }

    /// Is `next` another piece of this entry?
    pub(super) fn goes_on(&self, next: &Facts<'_>) -> bool {
        let same_id = match (&self.id, &next.id) {
            (Some(a), Some(b)) => a == b,
            (Some(_) | None, _) => true,
        };
        self.kind == next.kind
            && self.kind != Kind::Encrypted
            && self.index == next.index
            && same_id
    }

    /// Takes over what a later piece adds.
    pub(super) fn add(&mut self, next: Facts<'_>) {
        match (&mut self.signature, next.signature) {
            (Some(signature), Some(more)) => signature.to_mut().push_str(&more),
            (signature @ None, more) => *signature = own(more),
            (Some(_), None) => {}
        }
        if self.id.is_none() {
            self.id = own(next.id);
        }
        if self.format.is_none() {
            self.format = own(next.format);
        }
    }

    /// The entry as a signature, its text left out. `None`: it is text and nothing else.
    pub(super) fn signature(&self) -> Option<Signature<'static>> {
        let written = self.signature.as_ref().or(self.data.as_ref());
        if let Some(signature) = written.and_then(|written| seal::unseal(written)) {
            return Some(signature);
        }
        if written.is_none() && self.id.is_none() && self.format.is_none() {
            return None;
        }
        let mut out = Vec::new();
        let mut entry = Emit::object(&mut out);
        entry.text(
            "type",
            match self.kind {
                Kind::Text => "reasoning.text",
                Kind::Summary => "reasoning.summary",
                Kind::Encrypted => "reasoning.encrypted",
            },
        );
        entry.text_if("signature", self.signature.as_deref());
        entry.text_if("data", self.data.as_deref());
        entry.text_if("format", self.format.as_deref());
        entry.text_if("id", self.id.as_deref());
        if let Some(index) = self.index {
            entry.count("index", index);
        }
        entry.end();
        Some(Signature::new(
            DETAILS,
            String::from_utf8(out).unwrap_or_default(),
        ))
    }
}

/// Writes the entry that a signature of origin `reasoning_details` is, its text put back.
pub(super) fn restore(out: &mut Vec<u8>, data: &str, reasoning: &Reasoning<'_>) {
    // What a client made up is no entry: it goes as a text without proof.
    let detail: Detail<'_> = serde_json::from_str(data).unwrap_or_default();
    let kind = detail.kind().unwrap_or(Kind::Text);
    let (_, facts) = detail.split(kind);
    let mut entry = Emit::object(out);
    match kind {
        Kind::Text => {
            entry.text("type", "reasoning.text");
            if !reasoning.text.is_empty() {
                entry.text("text", &reasoning.text);
            }
        }
        Kind::Summary => {
            entry.text("type", "reasoning.summary");
            entry.text("summary", &reasoning.text);
        }
        Kind::Encrypted => entry.text("type", "reasoning.encrypted"),
    }
    entry.text_if("signature", facts.signature.as_deref());
    entry.text_if("data", facts.data.as_deref());
    entry.text_if("format", facts.format.as_deref());
    entry.text_if("id", facts.id.as_deref());
    if let Some(index) = facts.index {
        entry.count("index", index);
    }
    entry.end();
}

/// How an entry for a client tells its text.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told<'t> {
    Whole(&'t str),
    /// It stands in `reasoning_content`: first character and number of them.
    Span(u64, u64),
}

/// Writes an entry for a client.
pub(super) fn entry(
    out: &mut Vec<u8>,
    index: u64,
    told: Told<'_>,
    signature: Option<&Signature<'_>>,
    (redacted, summary): (bool, bool),
) {
    let sealed: Option<Text<'_>> = signature.map(|signature| seal::write(super::ORIGIN, signature));
    let mut entry = Emit::object(out);
    if redacted {
        entry.text("type", "reasoning.encrypted");
        entry.text("data", sealed.as_deref().unwrap_or_default());
    } else {
        let (kind, field) = if summary {
            ("reasoning.summary", "summary")
        } else {
            ("reasoning.text", "text")
        };
        entry.text("type", kind);
        match told {
            Told::Whole(text) => entry.text(field, text),
            Told::Span(start, length) => {
                entry.count("text_start", start);
                entry.count("text_length", length);
            }
        }
        entry.text_if("signature", sealed.as_deref());
    }
    entry.text("format", "unknown");
    entry.count("index", index);
    entry.end();
}

/// Text, facts, and where the text stands in the message's.
type Entry<'a> = (Text<'a>, Facts<'a>, Option<(u64, u64)>);

/// The reasoning of a message that a client sends back: `content` is its `reasoning_content`.
pub(super) fn read<'a>(content: Option<Text<'a>>, details: Vec<Detail<'a>>) -> Vec<Reasoning<'a>> {
    let content = content.unwrap_or_default();
    let mut entries: Vec<Entry<'a>> = Vec::new();
    for detail in details {
        let Some(kind) = detail.kind() else { continue };
        let span = match (detail.text_start, detail.text_length) {
            (Some(LooseCount(Some(start))), Some(LooseCount(Some(length)))) => {
                Some((start, length))
            }
            (_, _) => None,
        };
        let (text, facts) = detail.split(kind);
        match entries.last_mut() {
            // Pieces of a stream that nobody put together.
            Some((before, known, _)) if facts.index.is_some() && known.goes_on(&facts) => {
                before.to_mut().push_str(&text);
                known.add(facts);
            }
            Some(_) | None => entries.push((text, facts, span)),
        }
    }
    let told = entries.iter().any(|(text, _, _)| !text.is_empty());
    let mut out = Vec::with_capacity(entries.len() + 1);
    let mut rest: &str = &content;
    let mut taken = 0_u64;
    // Nobody claims the text: it comes first, unsigned.
    let claimed = entries
        .iter()
        .any(|(_, facts, _)| facts.kind != Kind::Encrypted);
    if !claimed && !content.is_empty() {
        out.push(Reasoning {
            text: content.clone(),
            ..Reasoning::default()
        });
    }
    for (text, facts, span) in entries {
        let redacted = facts.kind == Kind::Encrypted;
        let text = if redacted || !text.is_empty() || told {
            text
        } else {
            if let Some((start, _)) = span {
                let gap = cut(&mut rest, start.saturating_sub(taken));
                taken = taken.max(start);
                if !gap.is_empty() {
                    out.push(unsigned(gap));
                }
            }
            let length = span.map_or(u64::MAX, |(_, length)| length);
            taken = taken.saturating_add(length);
            Text::Owned(cut(&mut rest, length).to_owned())
        };
        out.push(Reasoning {
            signature: facts.signature(),
            summary: facts.kind == Kind::Summary,
            text,
            redacted,
        });
    }
    if claimed && !told && !rest.is_empty() {
        out.push(unsigned(rest));
    }
    out
}

fn unsigned(text: &str) -> Reasoning<'static> {
    Reasoning {
        text: Text::Owned(text.to_owned()),
        ..Reasoning::default()
    }
}

/// Takes so many characters from the front.
fn cut<'t>(rest: &mut &'t str, characters: u64) -> &'t str {
    let at = usize::try_from(characters)
        .ok()
        .and_then(|n| rest.char_indices().nth(n))
        .map_or(rest.len(), |(at, _)| at);
    let (front, back) = rest.split_at(at);
    *rest = back;
    front
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts<'a>(content: Option<&'a str>, details: &'a str) -> Vec<Reasoning<'a>> {
        read(
            content.map(Text::Borrowed),
            serde_json::from_str(details).expect("valid"),
        )
    }

    #[test]
    fn an_entry_of_openrouter_goes_back_as_it_came() {
        for written in [
            r#"{"type":"reasoning.text","text":"think","signature":"Eq0E","format":"anthropic-claude-v1","index":0}"#,
            r#"{"type":"reasoning.summary","summary":"think","format":"xai-responses-v1","index":0}"#,
            r#"{"type":"reasoning.encrypted","data":"TkDh","format":"xai-responses-v1","id":"rs_1","index":1}"#,
        ] {
            let list = format!("[{written}]");
            let reasoning = parts(Some("think"), &list);
            assert_eq!(
                reasoning.len(),
                if written.contains("encrypted") { 2 } else { 1 }
            );
            let last = reasoning.last().expect("one");
            let signature = last.signature.as_ref().expect("signed");
            assert_eq!(signature.origin, DETAILS);
            let mut out = Vec::new();
            restore(&mut out, &signature.data, last);
            assert_eq!(String::from_utf8(out).expect("text"), written);
        }
    }

    #[test]
    fn pieces_that_nobody_put_together_are_one_entry() {
        let all = parts(
            None,
            r#"[{"type":"reasoning.text","text":"a","index":0},{"type":"reasoning.text","text":"b","index":0},
                {"type":"reasoning.text","signature":"s","format":"f","index":0},{"type":"reasoning.text","text":"c","index":1}]"#,
        );
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].text, "ab");
        assert!(
            all[0]
                .signature
                .as_ref()
                .is_some_and(|s| s.data.contains("\"s\""))
        );
        assert_eq!((&*all[1].text, all[1].signature.is_none()), ("c", true));
    }

    #[test]
    fn entries_without_text_take_theirs_from_reasoning_content() {
        let all = parts(
            Some("één twee drie"),
            r#"[{"type":"reasoning.text","text_start":4,"text_length":5,"signature":"s","index":0},
                {"type":"reasoning.encrypted","data":"d","index":1}]"#,
        );
        let texts: Vec<&str> = all.iter().map(|r| &*r.text).collect();
        assert_eq!(texts, ["één ", "twee ", "", "drie"]);
        assert_eq!(
            all.iter()
                .map(|r| r.signature.is_some())
                .collect::<Vec<_>>(),
            [false, true, true, false]
        );
        let one = parts(
            Some("all"),
            r#"[{"type":"reasoning.text","signature":"s","index":0}]"#,
        );
        assert_eq!((one.len(), &*one[0].text), (1, "all"));
    }

    #[test]
    fn a_sealed_entry_is_its_makers() {
        let signature = Signature::new("anthropic", "EqQB");
        let sealed = seal::seal(&signature);
        let list = format!(
            r#"[{{"type":"reasoning.text","text":"t","signature":"{sealed}"}},{{"type":"reasoning.encrypted","data":"{sealed}"}}]"#
        );
        let all = parts(None, &list);
        assert_eq!(all[0].signature.as_ref(), Some(&signature));
        assert!(all[1].redacted && all[1].signature.as_ref() == Some(&signature));
    }
}
