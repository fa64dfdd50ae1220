//! Mistakes and notes, each with its place in the file.

use std::fmt::Write;

/// What a reading of the file has found.
pub struct Report {
    file: String,
    /// Byte offsets at which lines begin.
    lines: Vec<usize>,
    text: String,
    mistakes: Vec<(usize, String)>,
    notes: Vec<(usize, String)>,
    /// What was found in the files that it names.
    others: Vec<Report>,
    /// Secrets that only a running gateway needs may be where they cannot be read; they are empty then.
    pub secrets_may_be_away: bool,
}

impl Report {
    pub fn new(file: &str, text: &str) -> Self {
        let lines = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self {
            file: file.to_owned(),
            lines,
            text: text.to_owned(),
            mistakes: Vec::new(),
            notes: Vec::new(),
            others: Vec::new(),
            secrets_may_be_away: false,
        }
    }

    /// Something that must be mended before the config can be used.
    pub fn mistake(&mut self, offset: usize, what: impl Into<String>) {
        self.mistakes.push((offset, what.into()));
    }

    /// Something to know, that stops nothing.
    pub fn note(&mut self, offset: usize, what: impl Into<String>) {
        self.notes.push((offset, what.into()));
    }

    pub fn has_mistakes(&self) -> bool {
        !self.mistakes.is_empty() || self.others.iter().any(Self::has_mistakes)
    }

    pub fn file(&self) -> &str {
        &self.file
    }

    /// Adds what was found in a file that this one names.
    pub fn add(&mut self, other: Self) {
        self.others.push(other);
    }

    /// The other way round of [`place`](Self::place), as parsers of JSON count: columns in bytes.
    pub fn offset(&self, line: usize, column: usize) -> usize {
        let start = self.lines.get(line.saturating_sub(1)).copied();
        start.unwrap_or(self.text.len()) + column.saturating_sub(1)
    }

    /// `line:column`, from 1, columns in characters.
    pub fn place(&self, offset: usize) -> (usize, usize) {
        let offset = offset.min(self.text.len());
        let line = self.lines.partition_point(|&start| start <= offset) - 1;
        let column = self
            .text
            .get(self.lines[line]..offset)
            .map_or(0, |before| before.chars().count());
        (line + 1, column + 1)
    }

    /// One line a mistake, in the order of the file; those of other files follow.
    pub fn mistakes(&self) -> String {
        let own = self.lines_of(&self.mistakes, "");
        own + &self.others.iter().map(Self::mistakes).collect::<String>()
    }

    pub fn notes(&self) -> String {
        let own = self.lines_of(&self.notes, "note: ");
        own + &self.others.iter().map(Self::notes).collect::<String>()
    }

    fn lines_of(&self, items: &[(usize, String)], prefix: &str) -> String {
        let mut items: Vec<_> = items.iter().collect();
        items.sort_by_key(|(offset, _)| *offset);
        let mut out = String::new();
        for (offset, what) in items {
            let (line, column) = self.place(*offset);
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{prefix}{}:{line}:{column}: {what}", self.file);
        }
        out
    }
}
