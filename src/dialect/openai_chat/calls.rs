//! Calls of tools as they come in a stream: by index, by id, by neither; named once or in each piece; opened several
//! times; whole, in pieces, or both.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::loose::{Loose, LooseCount, filled};
use super::read_choice::Out;
use crate::chat::{Delta, Open, Signature};
use crate::wire::read::{Str, object};

object! {
    pub(super) struct CallPiece<'a> {
        "index" => index: LooseCount,
        "id" => id: Loose<'a>,
        "type" => kind: Loose<'a>,
        "function" => function: FunctionPiece<'a>,
        "custom" => custom: CustomPiece<'a>,
        "extra_content" => extra: Extra<'a>,
    }
}

object! {
    pub(super) struct FunctionPiece<'a> {
        "name" => name: Loose<'a>,
        "arguments" => arguments: &'a RawValue,
    }
}

object! {
    pub(super) struct CustomPiece<'a> {
        "name" => name: Loose<'a>,
        "input" => input: Loose<'a>,
    }
}

object! {
    /// <https://ai.google.dev/gemini-api/docs/thought-signatures#openai>
    pub(super) struct Extra<'a> {
        "google" => google: Google<'a>,
    }
}

object! {
    pub(super) struct Google<'a> {
        "thought_signature" => signature: Loose<'a>,
    }
}

/// How far the JSON text of a call's arguments has come.
#[derive(Clone, Copy, Debug, Default)]
struct Balance {
    depth: u32,
    in_string: bool,
    escaped: bool,
    begun: bool,
}

impl Balance {
    fn add(&mut self, piece: &str) {
        for byte in piece.bytes() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    self.depth += 1;
                    self.begun = true;
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn is_whole(self) -> bool {
        self.begun && self.depth == 0 && !self.in_string
    }
}

#[derive(Debug)]
struct Call {
    part: u32,
    index: Option<u64>,
    /// As the provider gave it; empty where it did not.
    id: String,
    name: String,
    custom: bool,
    open: bool,
    /// `{}` came first, and is held: some open a call with it and then send the arguments.
    held: bool,
    /// Arguments have gone out.
    spoke: bool,
    balance: Balance,
}

/// The calls of one choice.
#[derive(Debug, Default)]
pub(super) struct Calls {
    all: Vec<Call>,
    /// A name that came before its id and arguments is a call at once; an id without a name waits.
    nameless: Option<(Option<u64>, String)>,
}

fn argument_text(raw: &RawValue) -> Cow<'_, str> {
    match raw.get() {
        "null" => Cow::Borrowed(""),
        text if text.starts_with('"') => {
            serde_json::from_str::<Str<'_>>(text).map_or(Cow::Borrowed(""), |Str(text)| text)
        }
        // An object, against the rule.
        text => Cow::Borrowed(text),
    }
}

impl Calls {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn piece(&mut self, piece: CallPiece<'_>, out: &mut Out<'_, '_, '_>) {
        let index = piece.index.and_then(|index| index.0);
        let id = filled(piece.id);
        let (name, arguments, custom) = match (piece.function, piece.custom) {
            (_, Some(custom)) => (
                filled(custom.name),
                custom.input.and_then(|input| input.0),
                true,
            ),
            (Some(function), None) => (
                filled(function.name),
                function.arguments.map(argument_text),
                false,
            ),
            (None, None) => (None, None, false),
        };
        let signature = piece
            .extra
            .and_then(|extra| extra.google?.signature)
            .and_then(Loose::filled);
        self.take(index, id, name, arguments.unwrap_or_default(), custom, out);
        if let (Some(signature), Some(call)) = (signature, self.find(index))
            && call.open
        {
            let part = call.part;
            out.delta(part, Delta::Signature(Signature::new("gemini", signature)));
        }
    }

    /// `function_call` of the old form: one call, without an id.
    pub(super) fn old_piece(&mut self, piece: FunctionPiece<'_>, out: &mut Out<'_, '_, '_>) {
        let arguments = piece.arguments.map(argument_text).unwrap_or_default();
        let name = filled(piece.name);
        if name.is_some() || !arguments.is_empty() {
            self.take(Some(0), None, name, arguments, false, out);
        }
    }

    fn find(&mut self, index: Option<u64>) -> Option<&mut Call> {
        match index {
            Some(index) => self
                .all
                .iter_mut()
                .rev()
                .find(|call| call.index == Some(index)),
            None => self.all.last_mut(),
        }
    }

    /// Which call a piece belongs to; `None`: a new one.
    fn place(&self, index: Option<u64>, id: Option<&str>, name: Option<&str>) -> Option<usize> {
        let last = |test: &dyn Fn(&Call) -> bool| self.all.iter().rposition(test);
        if let Some(index) = index {
            let at = last(&|call| call.index == Some(index))?;
            let call = self.all.get(at)?;
            // Some number every call 0, and tell them apart by id.
            let known = id.is_none_or(|id| call.id.is_empty() || call.id == id);
            let renamed = name.is_some_and(|name| name != call.name);
            return match (known, id) {
                (false, Some(id)) if name.is_some() => last(&|call| call.id == id),
                (true, _) if renamed && call.balance.is_whole() => None,
                (_, _) => Some(at),
            };
        }
        if let Some(id) = id {
            return match last(&|call| call.id == id) {
                Some(at) => Some(at),
                // The id of a call that began without one.
                None => self
                    .all
                    .last()
                    .filter(|call| call.id.is_empty() && name.is_none())
                    .map(|_| self.all.len() - 1),
            };
        }
        let call = self.all.last()?;
        // A name alone: repeated, or that of the next call.
        let next = name.is_some_and(|name| name != call.name || call.balance.is_whole());
        (!next).then(|| self.all.len() - 1)
    }

    fn take(
        &mut self,
        index: Option<u64>,
        id: Option<Cow<'_, str>>,
        name: Option<Cow<'_, str>>,
        arguments: Cow<'_, str>,
        custom: bool,
        out: &mut Out<'_, '_, '_>,
    ) {
        let at = match self.place(index, id.as_deref(), name.as_deref()) {
            Some(at) => at,
            None => match self.begin(index, id, name, custom, out) {
                Some(at) => at,
                None => return,
            },
        };
        let Some(call) = self.all.get_mut(at) else {
            return;
        };
        call.arguments(arguments, out);
    }

    fn begin(
        &mut self,
        index: Option<u64>,
        id: Option<Cow<'_, str>>,
        name: Option<Cow<'_, str>>,
        custom: bool,
        out: &mut Out<'_, '_, '_>,
    ) -> Option<usize> {
        let Some(name) = name else {
            // A call without a name is none yet.
            if let Some(id) = id {
                self.nameless = Some((index, id.into_owned()));
            }
            return None;
        };
        let waiting = self
            .nameless
            .take()
            .filter(|(waiting, _)| *waiting == index);
        let id = id.or(waiting.map(|(_, id)| Cow::Owned(id)));
        self.close_whole(out);
        let given = id.as_deref().unwrap_or_default().to_owned();
        let id = id.unwrap_or_else(|| Cow::Owned(out.ids.next("call_")));
        let owned = name.clone().into_owned();
        let part = out.open(Open::ToolCall { id, name, custom });
        self.all.push(Call {
            part,
            index,
            id: given,
            name: owned,
            custom,
            open: true,
            held: false,
            spoke: false,
            balance: Balance::default(),
        });
        Some(self.all.len() - 1)
    }

    /// Closes the calls whose arguments are whole: nothing more can come.
    pub(super) fn close_whole(&mut self, out: &mut Out<'_, '_, '_>) {
        for call in &mut self.all {
            if call.open && !call.custom && call.spoke && call.balance.is_whole() {
                call.close(out);
            }
        }
    }

    pub(super) fn close_all(&mut self, out: &mut Out<'_, '_, '_>) {
        for call in &mut self.all {
            call.close(out);
        }
    }
}

impl Call {
    fn arguments(&mut self, piece: Cow<'_, str>, out: &mut Out<'_, '_, '_>) {
        if piece.is_empty() || !self.open {
            return;
        }
        if self.custom {
            self.spoke = true;
            out.delta(self.part, Delta::Arguments(piece));
            return;
        }
        if !self.spoke && !self.held && piece.trim() == "{}" {
            self.held = true;
            return;
        }
        // What comes behind whole arguments is the same again.
        if self.balance.is_whole() {
            return;
        }
        self.held = false;
        self.spoke = true;
        self.balance.add(&piece);
        out.delta(self.part, Delta::Arguments(piece));
    }

    fn close(&mut self, out: &mut Out<'_, '_, '_>) {
        if !self.open {
            return;
        }
        self.open = false;
        if !self.custom && !self.spoke {
            out.delta(self.part, Delta::Arguments(Cow::Borrowed("{}")));
        }
        out.close(self.part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_whole_when_their_brackets_are_closed() {
        for (pieces, whole) in [
            (&["{}"][..], true),
            (&["{\"a\":", "\"}\"}"], true),
            (&["{\"a\":\"\\\"}"], false),
            (&["{\"a\":\"\\", "\"}\"}"], true),
            (&["{\"a\":[1,2]"], false),
            (&[" "], false),
        ] {
            let mut balance = Balance::default();
            for piece in pieces {
                balance.add(piece);
            }
            assert_eq!(balance.is_whole(), whole, "{pieces:?}");
        }
    }
}
