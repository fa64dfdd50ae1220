//! JSON Schema as Gemini's `Schema`. What the subset cannot say makes the schema looser, never tighter; what cannot be
//! said at all (recursion) is left to the field that takes raw JSON Schema.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::json::string as push_string;
use super::node::{Kind, Node, kinds, merge, read_member, values};
use super::{MAX_DEPTH, Members, list, string};

/// More than this comes only from references that multiply.
const MAX_BYTES: usize = 1 << 20;

/// How a schema is to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::dialect::gemini) enum Written {
    /// Not at all: an object without properties says nothing, and some versions of the API refuse it.
    Nothing,
    Schema(Vec<u8>),
    /// As it is, in the field for JSON Schema.
    Raw,
}

/// The subset cannot say it.
struct Beyond;

struct Writer<'a> {
    root: &'a RawValue,
    /// References that led here; those from `level` on led to this very place.
    path: Vec<Cow<'a, str>>,
    level: usize,
    out: Vec<u8>,
}

/// `arguments`: of a function, whose root must be an object.
pub(in crate::dialect::gemini) fn to_gemini(raw: &RawValue, arguments: bool) -> Written {
    let mut writer = Writer {
        root: raw,
        path: Vec::new(),
        level: 0,
        out: Vec::with_capacity(raw.get().len()),
    };
    writer.root(arguments).unwrap_or(Written::Raw)
}

impl<'a> Writer<'a> {
    fn root(&mut self, arguments: bool) -> Result<Written, Beyond> {
        let mut node = Node::default();
        self.fill(&mut node, self.root, 0)?;
        if arguments {
            let is_object = match &node.kinds {
                Some(kinds) => kinds.contains(&Kind::Object),
                None => node.items.is_empty() && node.values.is_none(),
            };
            if !is_object || !node.any_of.is_empty() {
                return Err(Beyond);
            }
            if node.properties.is_empty() {
                return if node.open {
                    Err(Beyond)
                } else {
                    Ok(Written::Nothing)
                };
            }
            node.kinds = Some(vec![Kind::Object]);
            node.nullable = false;
        }
        self.node(node, 0)?;
        Ok(Written::Schema(std::mem::take(&mut self.out)))
    }

    /// Adds what a schema says; what is said already stands.
    fn fill(&mut self, node: &mut Node<'a>, raw: &'a RawValue, depth: usize) -> Result<(), Beyond> {
        if depth > MAX_DEPTH || self.out.len() > MAX_BYTES {
            return Err(Beyond);
        }
        // `true` and `false` are schemas, too: they say nothing that could be written.
        let Some(members) = Members::of(raw) else {
            return Ok(());
        };
        for (key, value) in &members.0 {
            read_member(node, key, value);
        }
        if node.any_of.is_empty() {
            let union = members.get("anyOf").or_else(|| members.get("any_of"));
            let union = union.or_else(|| members.get("oneOf")).and_then(list);
            node.any_of = union.unwrap_or_default();
        }
        if let Some(name) = members.get("$ref").and_then(string) {
            self.follow(node, name, depth)?;
        }
        for part in members.get("allOf").and_then(list).unwrap_or_default() {
            self.fill(node, part, depth + 1)?;
        }
        Ok(())
    }

    fn follow(
        &mut self,
        node: &mut Node<'a>,
        name: Cow<'a, str>,
        depth: usize,
    ) -> Result<(), Beyond> {
        match self.path.iter().position(|led| *led == name) {
            // It contains itself.
            Some(at) if at < self.level => return Err(Beyond),
            Some(_) => return Ok(()),
            None => {}
        }
        let target = resolve(self.root, &name).ok_or(Beyond)?;
        self.path.push(name);
        self.fill(node, target, depth + 1)
    }

    /// Writes what several schemas say of one place, and what stands around them.
    fn place(
        &mut self,
        schemas: &[&'a RawValue],
        around: Option<&Node<'a>>,
        depth: usize,
    ) -> Result<(), Beyond> {
        let (level, path) = (self.level, self.path.len());
        self.level = path;
        let mut node = Node::default();
        for schema in schemas {
            self.fill(&mut node, schema, depth)?;
        }
        if let Some(around) = around {
            merge(&mut node, around);
        }
        self.node(node, depth)?;
        self.path.truncate(path);
        self.level = level;
        Ok(())
    }

    fn node(&mut self, mut node: Node<'a>, depth: usize) -> Result<(), Beyond> {
        while !node.any_of.is_empty() {
            let union = std::mem::take(&mut node.any_of);
            let (nulls, branches): (Vec<_>, Vec<_>) =
                union.into_iter().partition(|branch| is_null(branch));
            node.nullable |= !nulls.is_empty();
            match branches.as_slice() {
                [] => {}
                [one] => self.fill(&mut node, one, depth + 1)?,
                many => return self.union(many, node, depth),
            }
        }
        let mut kinds = kinds(&node);
        if kinds.len() > 1 {
            node.nullable |= kinds.contains(&Kind::Null);
            kinds.retain(|kind| *kind != Kind::Null);
        }
        match kinds.as_slice() {
            [] => self.typed(Kind::String, &node, depth),
            [one] => self.typed(*one, &node, depth),
            many => {
                self.out.extend_from_slice(b"{\"anyOf\":[");
                for (at, kind) in many.iter().enumerate() {
                    self.comma(at);
                    self.typed(*kind, &node, depth)?;
                }
                self.out.extend_from_slice(b"]}");
                Ok(())
            }
        }
    }

    /// "When using any_of, it must be the only field set": all else goes into the branches.
    fn union(
        &mut self,
        branches: &[&'a RawValue],
        mut around: Node<'a>,
        depth: usize,
    ) -> Result<(), Beyond> {
        around.title = None;
        self.out.extend_from_slice(b"{\"anyOf\":[");
        for (at, branch) in branches.iter().enumerate() {
            self.comma(at);
            self.place(&[*branch], Some(&around), depth + 1)?;
        }
        self.out.extend_from_slice(b"]}");
        Ok(())
    }

    fn comma(&mut self, at: usize) {
        if at > 0 {
            self.out.push(b',');
        }
    }

    fn key(&mut self, name: &str) {
        self.out.push(b',');
        push_string(&mut self.out, name);
        self.out.push(b':');
    }

    fn text(&mut self, name: &str, text: &str) {
        self.key(name);
        push_string(&mut self.out, text);
    }

    fn names(&mut self, key: &str, names: &[&str]) {
        if names.is_empty() {
            return;
        }
        self.key(key);
        self.out.push(b'[');
        for (at, name) in names.iter().enumerate() {
            self.comma(at);
            push_string(&mut self.out, name);
        }
        self.out.push(b']');
    }

    fn typed(&mut self, kind: Kind, node: &Node<'a>, depth: usize) -> Result<(), Beyond> {
        self.out.extend_from_slice(b"{\"type\":\"");
        self.out.extend_from_slice(kind.name().as_bytes());
        self.out.push(b'"');
        if let Some(format) = &node.format
            && kind.formats().contains(&&**format)
        {
            self.text("format", format);
        }
        if let Some(title) = &node.title {
            self.text("title", title);
        }
        let (values, note) = values(kind, node);
        match (&node.description, note) {
            (Some(description), Some(note)) => {
                self.text("description", &format!("{description}\n{note}"));
            }
            (Some(text), None) => self.text("description", text),
            (None, Some(note)) => self.text("description", &note),
            (None, None) => {}
        }
        if node.nullable && kind != Kind::Null {
            self.key("nullable");
            self.out.extend_from_slice(b"true");
        }
        for (name, bound) in &node.bounds {
            if kind.bounds().contains(name) {
                self.key(name);
                self.out.extend_from_slice(bound.as_bytes());
            }
        }
        match kind {
            Kind::String => {
                self.names("enum", &values.iter().map(|v| &**v).collect::<Vec<_>>());
                if let Some(pattern) = node.pattern {
                    self.key("pattern");
                    self.out.extend_from_slice(pattern.get().as_bytes());
                }
            }
            Kind::Array => self.items(node, depth)?,
            Kind::Object => self.properties(node, depth)?,
            Kind::Number | Kind::Integer | Kind::Boolean | Kind::Null => {}
        }
        self.out.push(b'}');
        Ok(())
    }

    /// The API refuses an array that does not say of what.
    fn items(&mut self, node: &Node<'a>, depth: usize) -> Result<(), Beyond> {
        self.key("items");
        match node.items.as_slice() {
            [] => self.out.extend_from_slice(b"{\"type\":\"STRING\"}"),
            [one] => self.place(&[*one], None, depth + 1)?,
            many => self.union(many, Node::default(), depth + 1)?,
        }
        Ok(())
    }

    fn properties(&mut self, node: &Node<'a>, depth: usize) -> Result<(), Beyond> {
        if node.properties.is_empty() {
            return Ok(());
        }
        self.key("properties");
        self.out.push(b'{');
        for (at, (name, schemas)) in node.properties.iter().enumerate() {
            self.comma(at);
            push_string(&mut self.out, name);
            self.out.push(b':');
            self.place(schemas, None, depth + 1)?;
        }
        self.out.push(b'}');
        let exists = |name: &&Cow<'_, str>| {
            node.properties
                .iter()
                .any(|(property, _)| property == *name)
        };
        let mut required: Vec<&str> = Vec::new();
        for name in node.required.iter().filter(exists) {
            if !required.contains(&&**name) {
                required.push(name);
            }
        }
        self.names("required", &required);
        let ordering: Vec<&str> = node.ordering.iter().filter(exists).map(|n| &**n).collect();
        self.names("propertyOrdering", &ordering);
        Ok(())
    }
}

/// `null` as a branch of a union.
fn is_null(raw: &RawValue) -> bool {
    let Some(members) = Members::of(raw) else {
        return false;
    };
    let alone = |name: &str| {
        members
            .get(name)
            .and_then(list)
            .is_some_and(|all| all.iter().all(|v| v.get() == "null"))
    };
    members
        .get("type")
        .and_then(string)
        .is_some_and(|kind| kind.eq_ignore_ascii_case("null"))
        || members.get("const").is_some_and(|v| v.get() == "null")
        || alone("enum")
}

/// A JSON pointer into the schema (`#/$defs/x`).
fn resolve<'a>(root: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    let pointer = name.strip_prefix('#')?;
    let mut at = root;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        at = match Members::of(at) {
            Some(members) => members.get(&token)?,
            None => list(at)?.get(token.parse::<usize>().ok()?).copied()?,
        };
    }
    // `#` and `#/` are the root: whoever refers to it is recursive.
    (pointer.len() > 1).then_some(at)
}

#[cfg(test)]
mod tests;
