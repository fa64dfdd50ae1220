//! An answer on its way: a provider's bytes, the events that its protocol's reader makes of them, and what each
//! surface's writer makes of those.

use bytes::Bytes;

use torouter::base::Ids;
use torouter::chat::{Answer, Event, Fold};
use torouter::dialect::Dialect;
use torouter::dialect::translate::{Echo, Reader, Sink, Writer, write_answer};
use torouter::wire::sse::{self, Frames};

use crate::corpus::{Recorded, Recording};
use crate::grammar::Grammar;

/// The protocols that are translated.
pub const DIALECTS: [Dialect; 4] = [
    Dialect::OpenAiChat,
    Dialect::OpenAiResponses,
    Dialect::Anthropic,
    Dialect::Gemini,
];
/// What the client asked for.
pub const ASKED: &str = "asked-model";

pub fn echo() -> Echo {
    Echo {
        ids: Some(Ids::new(7)),
        model: ASKED.to_owned(),
        now: 1_700_000_000,
        include_usage: true,
        legacy_functions: false,
        input_estimate: 100,
        array: false,
        hide_thoughts: false,
        repeat: None,
    }
}

/// All that came of one answer.
pub struct Relayed {
    /// The events, as text.
    pub events: Vec<String>,
    pub answer: Answer,
    /// By surface: what a client of the stream gets.
    streams: Vec<(Dialect, Vec<u8>)>,
}

impl Relayed {
    pub fn stream(&self, surface: Dialect) -> &[u8] {
        let found = self.streams.iter().find(|(each, _)| *each == surface);
        &found.expect("a translated surface").1
    }

    pub fn whole(&self, surface: Dialect) -> Vec<u8> {
        write_answer(surface, &self.answer, &mut echo()).expect("a translated surface")
    }
}

/// Feeds the pieces of an event stream as a connection would bring them.
pub fn feed(reader: &mut Reader, pieces: &[&[u8]], sink: &mut Sink<'_>) {
    let mut frames = Frames::new(64 << 20);
    let mut data = |reader: &mut Reader, frame: &[u8]| {
        if let Some(data) = sse::parse(frame).data {
            reader.data(&data, sink);
        }
    };
    for piece in pieces {
        frames
            .push(&Bytes::copy_from_slice(piece), |frame| data(reader, &frame))
            .expect("no frame is that long");
    }
    let rest = frames.rest();
    data(reader, &rest);
    reader.end(sink);
}

/// Lets `say` feed a reader of `dialect`, and listens in every surface. Panics where the grammar is broken.
pub fn relay(
    dialect: Dialect,
    name: &str,
    say: impl FnOnce(&mut Reader, &mut Sink<'_>),
) -> Relayed {
    relay_with(dialect, name, &echo(), say)
}

pub fn relay_with(
    dialect: Dialect,
    name: &str,
    echo: &Echo,
    say: impl FnOnce(&mut Reader, &mut Sink<'_>),
) -> Relayed {
    let mut reader = Reader::new(dialect, Ids::new(7)).expect("a translated protocol");
    let mut writers: Vec<(Dialect, Writer, Vec<u8>)> = DIALECTS
        .into_iter()
        .map(|surface| {
            let writer = Writer::new(surface, echo.clone()).expect("a translated surface");
            (surface, writer, Vec::new())
        })
        .collect();
    let (mut grammar, mut fold, mut events) = (Grammar::default(), Fold::default(), Vec::new());
    say(&mut reader, &mut |event: Event<'_>| {
        events.push(format!("{event:?}"));
        if let Err(mistake) = grammar.event(&event) {
            panic!("{name}: {mistake}\nafter\n{}", events.join("\n"));
        }
        for (_, writer, out) in &mut writers {
            writer.event(event.clone(), out);
        }
        fold.event(event);
    });
    if let Err(mistake) = grammar.end() {
        panic!("{name}: {mistake}\nafter\n{}", events.join("\n"));
    }
    Relayed {
        events,
        answer: fold.finish(),
        streams: writers
            .into_iter()
            .map(|(surface, _, out)| (surface, out))
            .collect(),
    }
}

pub fn relay_recording(recording: &Recording) -> Relayed {
    relay(
        recording.dialect,
        &recording.name,
        |reader, sink| match &recording.answer {
            Recorded::Stream(sse) => feed(reader, &[sse.as_bytes()], sink),
            Recorded::Array(elements) => {
                for element in elements {
                    reader.data(element.as_bytes(), sink);
                }
                reader.end(sink);
            }
            Recorded::Whole(body) => reader.body(body.as_bytes(), sink),
        },
    )
}

/// The data of each event of a stream, and the event's name.
pub fn frames(stream: &[u8]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut frames = Frames::new(64 << 20);
    frames
        .push(&Bytes::copy_from_slice(stream), |frame| {
            let event = sse::parse(&frame);
            let data = event.data.unwrap_or_default();
            found.push((
                String::from_utf8(event.name.to_vec()).expect("UTF-8"),
                String::from_utf8(data.into_owned()).expect("UTF-8"),
            ));
        })
        .expect("no frame is that long");
    assert!(
        frames.rest().is_empty(),
        "a writer leaves no event half written"
    );
    found
}

/// JSON with a line for each value. Numbers and the order of keys stay as they were written, which no tree keeps.
pub fn pretty(json: &str) -> String {
    let (mut out, mut depth, mut in_text, mut escaped) = (String::new(), 0_usize, false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    let mut characters = json
        .chars()
        .filter(|c| !matches!(c, '\n' | '\r'))
        .peekable();
    while let Some(c) = characters.next() {
        if in_text {
            out.push(c);
            in_text = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '"' => {
                in_text = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while characters.peek() == Some(&' ') {
                    characters.next();
                }
                if matches!(characters.peek(), Some('}' | ']')) {
                    out.extend(characters.next());
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            ' ' => {}
            other => out.push(other),
        }
    }
    out
}
