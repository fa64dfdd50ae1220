//! What each target holds against what it was given: no panic, the grammar of events, JSON wherever JSON is written.

use bytes::Bytes;

use torouter::base::Ids;
use torouter::chat::{Event, Fold};
use torouter::dialect::translate::{Echo, Reader, Sink, Target, Writer, write_answer};
use torouter::dialect::{Dialect, Operation, Peek, openai_chat, openai_responses};
use torouter::platform::{by_name, names};
use torouter::wire::edit::{self, Edit};
use torouter::wire::sse::{self, Frames};

#[path = "../../tests/translation/grammar.rs"]
mod grammar;

const DIALECTS: [Dialect; 4] = [
    Dialect::OpenAiChat,
    Dialect::OpenAiResponses,
    Dialect::Anthropic,
    Dialect::Gemini,
];
const LIMIT: usize = 1 << 20;

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

/// A request in `dialect`: read, and written for every platform, and for the models of one that have the Responses API.
pub fn request(dialect: Dialect, data: &[u8]) {
    let Some((first, body)) = data.split_first() else {
        return;
    };
    let Ok(request) = dialect.read_request(body, first & 1 == 1) else {
        return;
    };
    if dialect == Dialect::OpenAiResponses {
        let fields = openai_responses::Repeat::of(body).fields;
        assert!(is_json(format!("{{{fields}}}").as_bytes()), "{fields}");
    }
    let platforms = names().into_iter().map(|name| {
        let platform = by_name(name).expect("a platform");
        (name, platform.target("m-1"))
    });
    let responses = [false, true].map(|reasons| {
        let model = "m-1";
        let target = openai_responses::Target { model, reasons };
        ("responses", Target::OpenAiResponses(target))
    });
    for (name, target) in platforms.chain(responses) {
        let target = target.suited(&request);
        let Ok(rendered) = target.write_request_for(&request, Some(dialect)) else {
            continue;
        };
        assert!(
            is_json(&rendered.body),
            "not JSON for {name}: {}",
            String::from_utf8_lossy(&rendered.body)
        );
    }
}

/// The pieces that a connection brings, and the rest of the data. The first byte says how.
fn pieces(seed: u8, data: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let (mut rest, mut state) = (data, u32::from(seed) | 1);
    while seed != 0 && rest.len() > 1 {
        state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        let length = ((state >> 16) as usize % 64 + 1).min(rest.len());
        let (piece, more) = rest.split_at(length);
        pieces.push(piece);
        rest = more;
    }
    pieces.push(rest);
    pieces
}

struct Ear {
    grammar: grammar::Grammar,
    fold: Fold,
    writers: Vec<(Dialect, Writer, Vec<u8>)>,
}

fn echo(array: bool) -> Echo {
    Echo {
        ids: Some(Ids::new(7)),
        model: "asked".to_owned(),
        now: 1_700_000_000,
        include_usage: true,
        legacy_functions: false,
        input_estimate: 9,
        array,
        ..Echo::default()
    }
}

impl Ear {
    fn new() -> Self {
        let writer = |surface| {
            let writer = Writer::new(surface, echo(false)).expect("a translated surface");
            (surface, writer, Vec::new())
        };
        Self {
            grammar: grammar::Grammar::default(),
            fold: Fold::default(),
            writers: DIALECTS.into_iter().map(writer).collect(),
        }
    }

    fn hear(&mut self, event: Event<'_>) {
        if let Err(mistake) = self.grammar.event(&event) {
            panic!("{mistake}");
        }
        for (surface, writer, out) in &mut self.writers {
            let before = out.len();
            writer.event(event.clone(), out);
            let said = &out[before..];
            assert!(
                said.is_empty() || said.ends_with(b"\n\n") || said.ends_with(b"\r\n\r\n"),
                "{surface:?} leaves an event half written"
            );
        }
        self.fold.event(event);
    }

    fn judge(self) {
        if let Err(mistake) = self.grammar.end() {
            panic!("{mistake}");
        }
        for (surface, _, out) in &self.writers {
            let mut frames = Frames::new(usize::MAX);
            let check = |frame: Bytes| {
                let data = sse::parse(&frame).data.unwrap_or_default();
                assert!(
                    is_json(&data) || &*data == b"[DONE]",
                    "{surface:?}: {}",
                    String::from_utf8_lossy(&data)
                );
            };
            assert!(frames.push(&Bytes::copy_from_slice(out), check).is_ok());
        }
        let answer = self.fold.finish();
        for surface in DIALECTS {
            let body = write_answer(surface, &answer, &mut echo(false)).expect("a surface");
            assert!(
                is_json(&body),
                "{surface:?}: {}",
                String::from_utf8_lossy(&body)
            );
        }
    }
}

fn listen(dialect: Dialect, say: impl FnOnce(&mut Reader, &mut Sink<'_>)) {
    let mut reader = Reader::new(dialect, Ids::new(7)).expect("a translated protocol");
    let mut ear = Ear::new();
    say(&mut reader, &mut |event| ear.hear(event));
    ear.judge();
}

/// An answer in `dialect`, as a stream that is cut anywhere and as a body.
pub fn answer(dialect: Dialect, data: &[u8]) {
    let Some((seed, data)) = data.split_first() else {
        return;
    };
    listen(dialect, |reader, sink| {
        let mut frames = Frames::new(LIMIT);
        for piece in pieces(*seed, data) {
            let pushed = frames.push(&Bytes::copy_from_slice(piece), |frame| {
                if let Some(data) = sse::parse(&frame).data {
                    reader.data(&data, sink);
                }
            });
            if pushed.is_err() {
                break;
            }
        }
        if let Some(data) = sse::parse(&frames.rest()).data {
            reader.data(&data, sink);
        }
        reader.end(sink);
    });
    // What a mutation does to a body is not hidden behind the framing.
    listen(dialect, |reader, sink| {
        reader.data(data, sink);
        reader.end(sink);
    });
    listen(dialect, |reader, sink| reader.body(data, sink));
}

/// However a stream is cut, its frames are the same, and together they are the stream.
pub fn frames(data: &[u8]) {
    let Some((seed, data)) = data.split_first() else {
        return;
    };
    let gather = |pieces: &[&[u8]]| {
        let (mut frames, mut found) = (Frames::new(LIMIT), Vec::new());
        for piece in pieces {
            let pushed = frames.push(&Bytes::copy_from_slice(piece), |frame| found.push(frame));
            if pushed.is_err() {
                return None;
            }
        }
        let rest = frames.rest();
        Some((found, rest))
    };
    let (Some((whole, rest)), Some((cut, _))) = (gather(&[data]), gather(&pieces(*seed, data)))
    else {
        return;
    };
    let mut together: Vec<u8> = whole.concat();
    together.extend_from_slice(&rest);
    assert_eq!(together, data);
    // A CR at the end of a piece ends its frame; the LF that follows then belongs to no frame's data.
    let read = |frames: &[Bytes]| -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        frames
            .iter()
            .map(|frame| {
                let event = sse::parse(frame);
                (
                    event.name.to_vec(),
                    event.data.map(std::borrow::Cow::into_owned),
                )
            })
            .collect()
    };
    assert_eq!(read(&whole), read(&cut));
}

/// A body that the peek accepts is JSON, and still is after the gateway's edits.
pub fn peek(data: &[u8]) {
    let _ = Peek::form(data, "x");
    let Ok(peek) = Peek::json(data) else {
        return;
    };
    assert!(is_json(data));
    let mut edits = Vec::new();
    if let (Some(at), Ok(Some(_))) = (peek.model.clone(), peek.model(data, Operation::Chat)) {
        edits.push(Edit::replace(at, peek.write_model("other")));
    }
    let _ = peek.stream(data);
    edits.extend(openai_chat::ask_usage(data, &peek));
    let edited = edit::apply(&Bytes::copy_from_slice(data), &mut edits);
    assert!(is_json(&edited), "{}", String::from_utf8_lossy(&edited));
}
