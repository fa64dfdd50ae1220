//! Takes credentials and account ids out of what a provider wrote into an error, before a client
//! sees it.

use std::borrow::Cow;

/// Starts of words that name an account or are a secret, and how many characters must follow for the
/// word to be one.
const MARKS: [(&str, usize); 12] = [
    ("sk-", 4),
    ("sk_", 8),
    ("pk-", 8),
    ("org-", 6),
    ("org_", 6),
    ("proj_", 6),
    ("user-", 10),
    ("acct_", 6),
    ("AIza", 10),
    ("gsk_", 8),
    ("xai-", 8),
    ("projects/", 3),
];

const REMOVED: &str = "[removed]";

/// `text` without them; borrowed when there were none. `credential` is the channel's own.
pub fn scrub<'a>(text: &'a str, credential: &str) -> Cow<'a, str> {
    let mut text = Cow::Borrowed(text);
    if credential.len() >= 4 && text.contains(credential) {
        text = Cow::Owned(text.replace(credential, REMOVED));
    }
    if !MARKS.iter().any(|(mark, _)| text.contains(mark)) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest: &str = &text;
    let mut changed = false;
    while !rest.is_empty() {
        let word_end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let word = &rest[..word_end];
        match MARKS
            .iter()
            .find(|(mark, min)| word.starts_with(mark) && word.len() >= mark.len() + min)
        {
            Some(_) => {
                out.push_str(REMOVED);
                changed = true;
            }
            None => out.push_str(word),
        }
        rest = &rest[word_end..];
        let gap_end = rest.find(is_word).unwrap_or(rest.len());
        out.push_str(&rest[..gap_end]);
        rest = &rest[gap_end..];
    }
    if changed { Cow::Owned(out) } else { text }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*' | '/')
}

#[cfg(test)]
mod tests {
    use super::scrub;

    #[test]
    fn secrets_and_accounts_are_removed_and_the_rest_stays() {
        for (text, expected) in [
            (
                "Incorrect API key provided: sk-proj-********abcd. You can find",
                "Incorrect API key provided: [removed]. You can find",
            ),
            (
                "Rate limit reached for gpt-5 in organization org-AbC123xyz on tokens",
                "Rate limit reached for gpt-5 in organization [removed] on tokens",
            ),
            (
                "quota of projects/123456 used up",
                "quota of [removed] used up",
            ),
            (
                "the channel's key topsecret-1 is wrong",
                "the channel's key [removed] is wrong",
            ),
            ("task-force and disk-usage", "task-force and disk-usage"),
            ("ünïcode stays", "ünïcode stays"),
        ] {
            assert_eq!(scrub(text, "topsecret-1"), expected);
        }
    }
}
