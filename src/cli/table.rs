//! Tables of the commands: aligned, with a rule under the head and thousands apart where a person looks; plain columns
//! where another program reads.

use std::fmt::Write as _;

/// What is shown in a table. Each row has as many cells as the head.
pub struct Table {
    pub head: Vec<String>,
    /// Which columns are numbers.
    pub numbers: Vec<bool>,
    pub rows: Vec<Vec<String>>,
    /// The last line, apart from the others.
    pub total: Option<Vec<String>>,
}

/// For whom it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Look {
    Pretty,
    Plain,
}

impl Look {
    /// Pretty when a person sees the standard output.
    pub fn of_stdout() -> Self {
        if std::io::IsTerminal::is_terminal(&std::io::stdout()) {
            Self::Pretty
        } else {
            Self::Plain
        }
    }
}

impl Table {
    pub fn write(&self, look: Look) -> String {
        let shown = |row: &Vec<String>| -> Vec<String> {
            let cells = row.iter().zip(&self.numbers);
            cells
                .map(|(cell, number)| show(cell, *number, look))
                .collect()
        };
        let rows: Vec<Vec<String>> = self.rows.iter().map(shown).collect();
        let total = self.total.as_ref().filter(|_| look == Look::Pretty);
        let total = total.map(shown);
        let mut widths: Vec<usize> = self.head.iter().map(|name| name.chars().count()).collect();
        for row in rows.iter().chain(&total) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut out = String::new();
        self.line(&mut out, &self.head, &widths);
        let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
        if look == Look::Pretty {
            self.line(&mut out, &rule, &widths);
        }
        for row in &rows {
            self.line(&mut out, row, &widths);
        }
        if let Some(total) = total {
            self.line(&mut out, &rule, &widths);
            self.line(&mut out, &total, &widths);
        }
        out
    }

    fn line(&self, out: &mut String, cells: &[String], widths: &[usize]) {
        let mut line = String::new();
        for ((cell, width), number) in cells.iter().zip(widths).zip(&self.numbers) {
            if !line.is_empty() {
                line.push_str("  ");
            }
            // Writing to a string cannot fail.
            let _ = if *number {
                write!(line, "{cell:>width$}")
            } else {
                write!(line, "{cell:<width$}")
            };
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

/// Text that somebody else chose, as a terminal may show it: what would move the cursor, break the line or turn the
/// direction of what stands around it is written as an escape.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if turns || c.is_control() {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

fn show(cell: &str, number: bool, look: Look) -> String {
    match (number, look) {
        (true, Look::Pretty) => thousands(cell),
        // A column has no gap that is as wide as the one between two.
        (false, Look::Plain) if cell.is_empty() => "-".to_owned(),
        _ => plain(cell),
    }
}

/// `1234567.05` as `1,234,567.05`.
fn thousands(number: &str) -> String {
    let (whole, fraction) = number
        .find('.')
        .map_or((number, ""), |point| number.split_at(point));
    if !whole.bytes().all(|b| b.is_ascii_digit()) {
        return number.to_owned();
    }
    let mut out = String::new();
    for (n, digit) in whole.chars().enumerate() {
        if n > 0 && (whole.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        Table {
            head: row(["key", "tokens", "cost_usd"]),
            numbers: vec![false, true, true],
            rows: vec![row(["ключ", "1234567", "1234.5"]), row(["", "5", "-"])],
            total: Some(row(["total", "1234572", "1234.5"])),
        }
    }

    #[test]
    fn a_person_sees_rules_thousands_and_a_total() {
        let wanted = "\
key       tokens  cost_usd
─────  ─────────  ────────
ключ   1,234,567   1,234.5
               5         -
─────  ─────────  ────────
total  1,234,572   1,234.5
";
        assert_eq!(table().write(Look::Pretty), wanted);
    }

    #[test]
    fn a_program_reads_the_rows_alone_with_no_empty_cell() {
        let wanted = "\
key    tokens  cost_usd
ключ  1234567    1234.5
-           5         -
";
        assert_eq!(table().write(Look::Plain), wanted);
    }

    #[test]
    fn what_would_move_the_cursor_or_turn_the_text_is_escaped() {
        let mut table = table();
        table.rows[0][0] = "a\u{1b}[2J\n\u{202e}\u{2067}b".to_owned();
        for look in [Look::Pretty, Look::Plain] {
            let text = table.write(look);
            assert!(
                text.contains(r"a\u{1b}[2J\u{a}\u{202e}\u{2067}b "),
                "{text}"
            );
            assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{2067}']), "{text}");
        }
        assert_eq!(plain("ключ é-5"), "ключ é-5");
    }

    #[test]
    fn thousands_are_set_apart_before_the_point_only() {
        for (number, wanted) in [
            ("0", "0"),
            ("999", "999"),
            ("1000", "1,000"),
            ("0.0001", "0.0001"),
            ("-", "-"),
        ] {
            assert_eq!(thousands(number), wanted);
        }
    }
}
