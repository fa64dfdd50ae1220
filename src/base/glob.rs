//! Model patterns: `*` stands for any run of characters, everything else for itself.

/// Does `text` match `pattern`? Linear in practice: backtracks to the last `*` only.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && pattern[p] == text[t] {
            p += 1;
            t += 1;
        } else if let Some((at, from)) = star {
            p = at + 1;
            t = from + 1;
            star = Some((at, from + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_matches_any_run_and_nothing_else_is_special() {
        for (pattern, text, expected) in [
            ("gpt-5*", "gpt-5", true),
            ("gpt-5*", "gpt-5.2-mini", true),
            ("gpt-5*", "gpt-4o", false),
            ("*", "", true),
            ("text-embedding-3-*", "text-embedding-3-small", true),
            ("*/gpt-*-mini", "openai/gpt-5-mini", true),
            ("*/gpt-*-mini", "openai/gpt-5", false),
            ("a*b*c", "a-b-b-c", true),
            ("o3", "o3-mini", false),
            ("a.b", "axb", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} ~ {text}");
        }
    }
}
