//! Typed access to TOML tables that goes on after a mistake, so that all of them are told at once.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::source::Report;
use super::values;
use crate::base::Secret;

type Item<'d, 'i> = &'d Spanned<DeValue<'i>>;

/// A table that is being read. Each `take` marks its key as known; `finish` reports the others.
pub struct Table<'d, 'i> {
    entries: &'d DeTable<'i>,
    /// How messages name it: `channels[0]`, say.
    pub path: String,
    pub at: usize,
    known: Vec<&'static str>,
}

/// What a value is, for messages.
fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

impl<'d, 'i> Table<'d, 'i> {
    pub fn new(entries: &'d DeTable<'i>, path: impl Into<String>, at: usize) -> Self {
        Self {
            entries,
            path: path.into(),
            at,
            known: Vec::new(),
        }
    }

    pub fn take(&mut self, key: &'static str) -> Option<Item<'d, 'i>> {
        self.known.push(key);
        self.entries
            .iter()
            .find(|(name, _)| name.get_ref() == key)
            .map(|(_, value)| value)
    }

    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name.get_ref() == key)
    }

    /// The entries under keys that are names of the user's.
    pub fn named(&self) -> Vec<(String, usize, Item<'d, 'i>)> {
        self.entries
            .iter()
            .map(|(name, value)| (name.get_ref().to_string(), name.span().start, value))
            .collect()
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn wrong(&self, report: &mut Report, key: &str, item: Item<'_, '_>, expected: &str) {
        let path = self.path_of(key);
        let found = kind_of(item.get_ref());
        report.mistake(
            item.span().start,
            format!("{path} must be {expected}, not {found}"),
        );
    }

    pub fn string(&mut self, key: &'static str, report: &mut Report) -> Option<(String, usize)> {
        let item = self.take(key)?;
        if let DeValue::String(text) = item.get_ref() {
            return Some((text.to_string(), item.span().start));
        }
        self.wrong(report, key, item, "a string");
        None
    }

    /// A string that may not be left out.
    pub fn required(&mut self, key: &'static str, report: &mut Report) -> Option<(String, usize)> {
        if !self.has(key) {
            self.known.push(key);
            report.mistake(self.at, format!("{} is missing", self.path_of(key)));
            return None;
        }
        self.string(key, report)
    }

    pub fn boolean(&mut self, key: &'static str, default: bool, report: &mut Report) -> bool {
        let Some(item) = self.take(key) else {
            return default;
        };
        if let DeValue::Boolean(value) = item.get_ref() {
            return *value;
        }
        self.wrong(report, key, item, "true or false");
        default
    }

    pub fn integer(
        &mut self,
        key: &'static str,
        default: i64,
        range: Range<i64>,
        report: &mut Report,
    ) -> i64 {
        let Some(item) = self.take(key) else {
            return default;
        };
        match integer_of(item.get_ref()) {
            Some(number) if range.contains(&number) => number,
            Some(number) => {
                let path = self.path_of(key);
                let (low, high) = (range.start, range.end - 1);
                report.mistake(
                    item.span().start,
                    format!("{path} must be from {low} to {high}, not {number}"),
                );
                default
            }
            None => {
                self.wrong(report, key, item, "an integer");
                default
            }
        }
    }

    pub fn duration(
        &mut self,
        key: &'static str,
        default: Duration,
        report: &mut Report,
    ) -> Duration {
        self.duration_at(key, default, report).0
    }

    /// A duration, and where it stands.
    pub fn duration_at(
        &mut self,
        key: &'static str,
        default: Duration,
        report: &mut Report,
    ) -> (Duration, usize) {
        let Some((text, at)) = self.string(key, report) else {
            return (default, self.at);
        };
        let duration = values::duration(&text).unwrap_or_else(|| {
            let path = self.path_of(key);
            report.mistake(
                at,
                format!("{path}: {text:?} is not a duration; write \"500ms\", \"15s\", \"10m\", \"1h\" or \"30d\""),
            );
            default
        });
        (duration, at)
    }

    /// A string that `read` makes something of.
    pub fn parsed<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        report: &mut Report,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let (text, at) = self.string(key, report)?;
        let value = read(&text);
        if value.is_none() {
            let path = self.path_of(key);
            report.mistake(at, format!("{path}: {text:?} is not {expected}"));
        }
        value
    }

    /// An array of strings that `read` makes something of.
    pub fn list<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        report: &mut Report,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let item = self.take(key)?;
        let DeValue::Array(array) = item.get_ref() else {
            self.wrong(report, key, item, "an array of strings");
            return None;
        };
        let mut values = Vec::new();
        for element in array {
            let path = self.path_of(key);
            let at = element.span().start;
            let DeValue::String(text) = element.get_ref() else {
                let found = kind_of(element.get_ref());
                report.mistake(at, format!("{path} must hold strings, not {found}"));
                continue;
            };
            match read(text) {
                Some(value) => values.push(value),
                None => report.mistake(at, format!("{path}: {text:?} is not {expected}")),
            }
        }
        Some(values)
    }

    pub fn table(&mut self, key: &'static str, report: &mut Report) -> Option<Table<'d, 'i>> {
        let item = self.take(key)?;
        let path = self.path_of(key);
        if let DeValue::Table(entries) = item.get_ref() {
            return Some(Table::new(entries, path, item.span().start));
        }
        self.wrong(report, key, item, "a table");
        None
    }

    /// An array of tables (`[[name]]`).
    pub fn tables(&mut self, key: &'static str, report: &mut Report) -> Vec<Table<'d, 'i>> {
        let Some(item) = self.take(key) else {
            return Vec::new();
        };
        let DeValue::Array(array) = item.get_ref() else {
            let expected = format!("an array of tables; write [[{key}]]");
            self.wrong(report, key, item, &expected);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (index, element) in array.iter().enumerate() {
            if let DeValue::Table(entries) = element.get_ref() {
                let path = format!("{}[{index}]", self.path_of(key));
                tables.push(Table::new(entries, path, element.span().start));
            } else {
                report.mistake(element.span().start, format!("{key} must hold tables"));
            }
        }
        tables
    }

    /// `{ env = "NAME" }`, `{ file = "PATH" }` or `{ value = "…" }`, resolved; empty, where it cannot be and need not
    /// be.
    pub fn secret(&mut self, key: &'static str, report: &mut Report) -> Option<Secret> {
        let may_be_away = report.secrets_may_be_away;
        let (secret, _) = self.resolved(key, may_be_away, report)?;
        Some(secret)
    }

    /// The same, where the commands need it too.
    pub fn secret_at(&mut self, key: &'static str, report: &mut Report) -> Option<(Secret, usize)> {
        self.resolved(key, false, report)
    }

    fn resolved(
        &mut self,
        key: &'static str,
        may_be_away: bool,
        report: &mut Report,
    ) -> Option<(Secret, usize)> {
        let item = self.take(key)?;
        let path = self.path_of(key);
        let at = item.span().start;
        let DeValue::Table(entries) = item.get_ref() else {
            report.mistake(
                at,
                format!("{path} must be {{ env = \"NAME\" }} or {{ file = \"PATH\" }}: secrets do not stand in the file"),
            );
            return None;
        };
        let mut table = Table::new(entries, path.clone(), at);
        let env = table.string("env", report);
        let file = table.string("file", report);
        let value = table.string("value", report);
        table.finish(report);
        let is_elsewhere = value.is_none() && env.is_some() != file.is_some();
        let text = match (env, file, value) {
            (Some((name, at)), None, None) => std::env::var(&name).map_err(|_| {
                (
                    at,
                    format!("{path}: the environment variable {name} is not set"),
                )
            }),
            (None, Some((file, at)), None) => std::fs::read_to_string(&file)
                .map_err(|error| (at, format!("{path}: {file} cannot be read: {error}"))),
            (None, None, Some((value, _))) => Ok(value),
            _ => Err((
                at,
                format!("{path} needs exactly one of env, file or value"),
            )),
        };
        match text.map(|text| text.trim().to_owned()) {
            Ok(text) if !text.is_empty() => Some((Secret::new(text), at)),
            _ if may_be_away && is_elsewhere => Some((Secret::new(String::new()), at)),
            Ok(_) => {
                report.mistake(at, format!("{path} is empty"));
                None
            }
            Err((at, what)) => {
                report.mistake(at, what);
                None
            }
        }
    }

    /// What may hold a secret but need not: a string as it stands, or a [`secret`](Self::secret).
    pub fn text_or_secret(
        &mut self,
        key: &'static str,
        report: &mut Report,
    ) -> Option<(Secret, usize)> {
        let found = self.entries.iter().find(|(name, _)| name.get_ref() == key);
        let Some((_, item)) = found else {
            self.known.push(key);
            return None;
        };
        let at = item.span().start;
        if let DeValue::Table(_) = item.get_ref() {
            return self.secret_at(key, report).map(|(secret, _)| (secret, at));
        }
        let expected = "a string, { env = \"NAME\" } or { file = \"PATH\" }";
        match self.take(key)?.get_ref() {
            DeValue::String(text) => Some((Secret::new(text.to_string()), at)),
            _ => {
                self.wrong(report, key, item, expected);
                None
            }
        }
    }

    /// Reports keys that nobody asked for.
    pub fn finish(self, report: &mut Report) {
        for (name, _) in self.entries {
            let word: &str = name.get_ref();
            if self.known.contains(&word) {
                continue;
            }
            let path = self.path_of(word);
            let hint = match values::nearest(word, &self.known) {
                Some(near) => format!("; did you mean {near:?}?"),
                None => format!("; known: {}", self.known.join(", ")),
            };
            report.mistake(name.span().start, format!("{path} is not known{hint}"));
        }
    }
}

pub fn integer_of(value: &DeValue<'_>) -> Option<i64> {
    let DeValue::Integer(number) = value else {
        return None;
    };
    i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok()
}

/// The text of a string value.
pub fn string_of<'d>(item: Item<'d, '_>) -> Option<&'d str> {
    match item.get_ref() {
        DeValue::String(text) => Some(text),
        _ => None,
    }
}
