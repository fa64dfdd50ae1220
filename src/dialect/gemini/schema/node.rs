//! What one place of a JSON Schema says, gathered from all that stands there.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{Members, list, string};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Number,
    Integer,
    Boolean,
    Array,
    Object,
    Null,
}

impl Kind {
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "string" => Self::String,
            "number" => Self::Number,
            "integer" => Self::Integer,
            "boolean" => Self::Boolean,
            "array" => Self::Array,
            "object" => Self::Object,
            "null" => Self::Null,
            _ => return None,
        })
    }

    fn of_value(raw: &RawValue) -> Self {
        match raw.get().as_bytes().first() {
            Some(b'"') => Self::String,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'[') => Self::Array,
            Some(b'{') => Self::Object,
            Some(b'n') => Self::Null,
            _ if raw.get().contains(['.', 'e', 'E']) => Self::Number,
            _ => Self::Integer,
        }
    }

    pub(super) fn takes(self, value: Self) -> bool {
        self == value || (self == Self::Number && value == Self::Integer)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::String => "STRING",
            Self::Number => "NUMBER",
            Self::Integer => "INTEGER",
            Self::Boolean => "BOOLEAN",
            Self::Array => "ARRAY",
            Self::Object => "OBJECT",
            Self::Null => "NULL",
        }
    }

    /// Formats that mean something for the type; the API refuses others of some types.
    pub(super) fn formats(self) -> &'static [&'static str] {
        match self {
            Self::String => &["date-time"],
            Self::Number => &["float", "double"],
            Self::Integer => &["int32", "int64"],
            Self::Boolean | Self::Array | Self::Object | Self::Null => &[],
        }
    }

    pub(super) fn bounds(self) -> &'static [&'static str] {
        match self {
            Self::String => &["minLength", "maxLength"],
            Self::Number | Self::Integer => &["minimum", "maximum"],
            Self::Array => &["minItems", "maxItems"],
            Self::Object => &["minProperties", "maxProperties"],
            Self::Boolean | Self::Null => &[],
        }
    }
}

/// What one place of a schema says, with what its references and `allOf` add.
#[derive(Clone, Default)]
pub(super) struct Node<'a> {
    pub(super) kinds: Option<Vec<Kind>>,
    pub(super) nullable: bool,
    pub(super) title: Option<Cow<'a, str>>,
    pub(super) description: Option<Cow<'a, str>>,
    pub(super) format: Option<Cow<'a, str>>,
    pub(super) pattern: Option<&'a RawValue>,
    pub(super) values: Option<Vec<&'a RawValue>>,
    pub(super) items: Vec<&'a RawValue>,
    pub(super) properties: Vec<(Cow<'a, str>, Vec<&'a RawValue>)>,
    pub(super) required: Vec<Cow<'a, str>>,
    pub(super) ordering: Vec<Cow<'a, str>>,
    pub(super) bounds: Vec<(&'static str, Cow<'a, str>)>,
    pub(super) any_of: Vec<&'a RawValue>,
    /// Takes properties that are not listed.
    pub(super) open: bool,
}

pub(super) fn read_member<'a>(node: &mut Node<'a>, key: &str, value: &'a RawValue) {
    fn set<T>(slot: &mut Option<T>, value: Option<T>) {
        if slot.is_none() {
            *slot = value;
        }
    }
    let texts = |raw| -> Vec<Cow<'a, str>> {
        list(raw)
            .unwrap_or_default()
            .into_iter()
            .filter_map(string)
            .collect()
    };
    match key {
        "type" => {
            let names = list(value).unwrap_or_else(|| vec![value]);
            let kinds: Vec<Kind> = names
                .into_iter()
                .filter_map(|name| Kind::of(&string(name)?))
                .collect();
            narrow(&mut node.kinds, &kinds);
        }
        "nullable" => node.nullable |= value.get() == "true",
        "title" => set(&mut node.title, string(value)),
        "description" => set(&mut node.description, string(value)),
        "format" => set(&mut node.format, string(value)),
        "pattern" if string(value).is_some() => set(&mut node.pattern, Some(value)),
        "enum" => set(&mut node.values, list(value)),
        "const" => set(&mut node.values, Some(vec![value])),
        "items" | "prefixItems" => {
            if node.items.is_empty() {
                let mut items = list(value).unwrap_or_else(|| vec![value]);
                let mut seen: Vec<&str> = Vec::new();
                items.retain(|item| {
                    let new = !seen.contains(&item.get());
                    seen.push(item.get());
                    new
                });
                node.items = items;
            }
        }
        "properties" => {
            for (name, schema) in Members::of(value).unwrap_or_default().0 {
                add_property(node, name, &[schema]);
            }
        }
        "additionalProperties" => node.open |= value.get() != "false",
        "required" => node.required.extend(texts(value)),
        "propertyOrdering" => {
            if node.ordering.is_empty() {
                node.ordering = texts(value);
            }
        }
        _ => {
            let name = match key {
                "minItems" => "minItems",
                "maxItems" => "maxItems",
                "minProperties" => "minProperties",
                "maxProperties" => "maxProperties",
                "minLength" => "minLength",
                "maxLength" => "maxLength",
                "minimum" | "exclusiveMinimum" => "minimum",
                "maximum" | "exclusiveMaximum" => "maximum",
                _ => return,
            };
            let written = string(value).unwrap_or(Cow::Borrowed(value.get()));
            let is_number = serde_json::from_str::<serde_json::Number>(&written).is_ok();
            if is_number && !node.bounds.iter().any(|(known, _)| *known == name) {
                node.bounds.push((name, written));
            }
        }
    }
}

fn add_property<'a>(node: &mut Node<'a>, name: Cow<'a, str>, schemas: &[&'a RawValue]) {
    match node.properties.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => known.extend(schemas),
        None => node.properties.push((name, schemas.to_vec())),
    }
}

/// Both must hold: what remains is what both allow.
fn narrow(kinds: &mut Option<Vec<Kind>>, more: &[Kind]) {
    if more.is_empty() {
        return;
    }
    let Some(known) = kinds else {
        *kinds = Some(more.to_vec());
        return;
    };
    let mut both: Vec<Kind> = Vec::new();
    for a in known.iter() {
        for b in more {
            let kind = if a.takes(*b) { *b } else { *a };
            if (a.takes(*b) || b.takes(*a)) && !both.contains(&kind) {
                both.push(kind);
            }
        }
    }
    if !both.is_empty() {
        *known = both;
    }
}

pub(super) fn merge<'a>(node: &mut Node<'a>, around: &Node<'a>) {
    if let Some(kinds) = &around.kinds {
        narrow(&mut node.kinds, kinds);
    }
    node.nullable |= around.nullable;
    node.open |= around.open;
    let Node {
        description,
        format,
        pattern,
        values,
        ..
    } = node;
    *description = description.take().or_else(|| around.description.clone());
    *format = format.take().or_else(|| around.format.clone());
    *pattern = pattern.or(around.pattern);
    *values = values.take().or_else(|| around.values.clone());
    if node.items.is_empty() {
        node.items = around.items.clone();
    }
    for (name, schemas) in &around.properties {
        add_property(node, name.clone(), schemas);
    }
    node.required.extend(around.required.iter().cloned());
    node.ordering.extend(around.ordering.iter().cloned());
    for (name, bound) in &around.bounds {
        if !node.bounds.iter().any(|(known, _)| known == name) {
            node.bounds.push((name, bound.clone()));
        }
    }
}

/// The types of a place, guessed where it does not say: the API wants one.
pub(super) fn kinds(node: &Node<'_>) -> Vec<Kind> {
    let fits = |kind: &Kind| match &node.values {
        Some(values) => values.iter().any(|v| kind.takes(Kind::of_value(v))),
        None => true,
    };
    if let Some(kinds) = &node.kinds {
        // A union of types with an enumeration: only those that a value of it has.
        let mut all: Vec<Kind> = Vec::new();
        for kind in kinds {
            let covered = *kind == Kind::Integer && kinds.contains(&Kind::Number);
            if !covered && !all.contains(kind) && (kinds.len() == 1 || fits(kind)) {
                all.push(*kind);
            }
        }
        if all.is_empty() { kinds.clone() } else { all }
    } else if !node.properties.is_empty() {
        vec![Kind::Object]
    } else if !node.items.is_empty() {
        vec![Kind::Array]
    } else if let Some(values) = &node.values {
        let mut all: Vec<Kind> = Vec::new();
        for value in values {
            let kind = Kind::of_value(value);
            if !all.iter().any(|known| known.takes(kind)) {
                all.retain(|known| !kind.takes(*known));
                all.push(kind);
            }
        }
        all
    } else {
        let named = |kind: Kind| {
            let has = |(name, _): &(&'static str, Cow<'_, str>)| kind.bounds().contains(name);
            node.bounds.iter().any(has).then_some(kind)
        };
        let kind = named(Kind::Object)
            .or_else(|| named(Kind::Array))
            .or_else(|| named(Kind::Number))
            .or_else(|| node.open.then_some(Kind::Object));
        vec![kind.unwrap_or(Kind::String)]
    }
}

/// Enumerations are of strings only, none of them empty; other values are told in words.
pub(super) fn values<'a>(kind: Kind, node: &Node<'a>) -> (Vec<Cow<'a, str>>, Option<String>) {
    let Some(values) = &node.values else {
        return (Vec::new(), None);
    };
    let fitting: Vec<&&RawValue> = values
        .iter()
        .filter(|value| kind.takes(Kind::of_value(value)))
        .collect();
    let texts: Vec<Cow<'a, str>> = values.iter().filter_map(|value| string(value)).collect();
    if kind == Kind::String && !texts.is_empty() && texts.iter().all(|text| !text.is_empty()) {
        return (texts, None);
    }
    let words: Vec<&str> = fitting.iter().map(|value| value.get()).collect();
    let note = match words.as_slice() {
        [] => None,
        [one] => Some(format!("Always {one}.")),
        many => Some(format!("One of: {}.", many.join(", "))),
    };
    (Vec::new(), note)
}
