//! CSV as RFC 4180 has it, which spreadsheets may open: what begins like a formula gets an apostrophe before it.

pub const TYPE: &str = "text/csv; charset=utf-8";

/// Appends a row.
pub fn write<'a>(out: &mut String, fields: impl IntoIterator<Item = &'a str>) {
    for (n, field) in fields.into_iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        field_into(out, field);
    }
    out.push_str("\r\n");
}

fn field_into(out: &mut String, field: &str) {
    let formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number(field);
    let guard = if formula { "'" } else { "" };
    if formula || field.contains([',', '"', '\r', '\n']) {
        out.push('"');
        out.push_str(guard);
        out.push_str(&field.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(field);
    }
}

fn is_number(field: &str) -> bool {
    field.strip_prefix('-').is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_digit())
            && rest.bytes().all(|b| b.is_ascii_digit() || b == b'.')
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn fields_are_quoted_where_they_must_be_and_formulas_are_text() {
        let mut out = String::new();
        let fields = [
            "a",
            "",
            "b,c",
            "say \"hi\"",
            "two\r\nlines",
            "=1+2",
            "-5",
            "-x",
            "@a",
            "+1",
        ];
        super::write(&mut out, fields);
        assert_eq!(
            out,
            "a,,\"b,c\",\"say \"\"hi\"\"\",\"two\r\nlines\",\"'=1+2\",-5,\"'-x\",\"'@a\",\"'+1\"\r\n"
        );
    }
}
