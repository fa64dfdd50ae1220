//! A request in the channel's protocol, and the state of its answer on the way back: what the proxy needs of a
//! translation, whatever the operation.

mod counterpart;
mod counting;
mod fetched;

use bytes::Bytes;
use serde::de::IgnoredAny;

pub use counterpart::{Counterpart, counterpart};
pub use fetched::{Fetched, foreign_urls};

use counting::{read_count, read_counted, render_count, write_count};
use fetched::put_in;

use super::translate::{Echo, Reader, Rendered, Target, Writer, write_answer};
use super::{Dialect, Operation, embeddings, images, openai_responses};
use crate::base::{Fault, FaultKind, Ids, UpstreamError};
use crate::chat::{Adapt, Answer, Depth, Event, Fold, Thinking, count};
use crate::wire::sse::{self, Frames};

/// A frame larger than this is none that a model made; images come in one.
const MAX_FRAME: usize = 32 << 20;

/// What a client asked, for a translation.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub operation: Operation,
    pub body: &'a [u8],
    pub stream: bool,
    /// The answer's stream is one JSON array.
    pub array: bool,
    /// The model as the client asked for it.
    pub model: &'a str,
    /// The name of the model asked for reasoning (`-thinking`).
    pub reason: bool,
    /// Unix seconds.
    pub now: u64,
    /// Media that were fetched from the URLs in the request.
    pub fetched: &'a [Fetched],
    /// What whoever keeps state has settled of the answer.
    pub settled: Option<&'a openai_responses::Settled>,
}

/// The request for the channel, and how to bring its answer back.
#[derive(Debug)]
pub struct Translated {
    pub operation: Operation,
    pub stream: bool,
    pub rendered: Rendered,
    pub answering: Answering,
}

#[derive(Debug)]
pub enum Rendering {
    Upstream(Box<Translated>),
    /// The answer itself.
    Local(Vec<u8>),
}

/// Renders the request for a platform that lacks its operation.
pub fn render(
    question: &Question<'_>,
    target: &Target<'_>,
    counterpart: Counterpart,
) -> Result<Rendering, Fault> {
    use Operation as Op;
    match (question.operation, counterpart) {
        (
            Op::MessagesCountTokens | Op::CountTokens | Op::ResponsesInputTokens,
            Counterpart::Local,
        ) => {
            let tokens = count::request(&read_count(question)?);
            Ok(Rendering::Local(write_count(question.operation, tokens)))
        }
        (
            Op::MessagesCountTokens | Op::CountTokens | Op::ResponsesInputTokens,
            Counterpart::Operation(operation),
        ) => render_count(question, target, operation),
        (Op::Embeddings | Op::EmbedContent | Op::BatchEmbedContents, _) => {
            let (rendered, asked) = embeddings::write_request(
                question.operation,
                question.body,
                target.dialect(),
                target.model(),
            )?;
            let operation = match counterpart {
                Counterpart::Operation(operation) => operation,
                Counterpart::Local => question.operation,
            };
            let kind = Kind::Embeddings(asked);
            Ok(upstream(
                operation,
                false,
                rendered,
                Answering::new(question, kind),
            ))
        }
        (Op::ImagesGenerations, _) => {
            let rendered = images::write_request(question.body)?;
            let reader = Reader::new(target.dialect(), Ids::random());
            let kind = Kind::Image(reader.ok_or_else(unreadable)?);
            let operation = target.operation(false);
            Ok(upstream(
                operation,
                false,
                rendered,
                Answering::new(question, kind),
            ))
        }
        _ => render_chat(question, target),
    }
}

fn unreadable() -> Fault {
    Fault::new(
        FaultKind::EndpointNotFound,
        "No channel of this group serves this API for this model.",
    )
}

fn upstream(
    operation: Operation,
    stream: bool,
    rendered: Rendered,
    answering: Answering,
) -> Rendering {
    Rendering::Upstream(Box::new(Translated {
        operation,
        stream,
        rendered,
        answering,
    }))
}

fn render_chat(question: &Question<'_>, target: &Target<'_>) -> Result<Rendering, Fault> {
    let client = question.operation.dialect();
    let mut request = client.read_request(question.body, question.stream)?;
    if question.reason && request.thinking.is_none_or(|t| t.depth.is_none()) {
        request.thinking = Some(Thinking {
            depth: Some(Depth::Dynamic),
            show: Some(true),
        });
    }
    if !question.fetched.is_empty() {
        for turn in &mut request.turns {
            put_in(&mut turn.parts, question.fetched);
        }
    }
    let target = target.suited(&request);
    let mut rendered = target.write_request_for(&request, Some(client))?;
    let ids = Ids::random();
    let echo = Echo {
        ids: Some(ids.clone()),
        model: question.model.to_owned(),
        now: question.now,
        include_usage: request.include_usage,
        legacy_functions: request.legacy_functions,
        input_estimate: if question.stream && client.opens_with_usage() {
            count::request(&request)
        } else {
            0
        },
        array: question.array,
        hide_thoughts: client == Dialect::Gemini
            && request.thinking.and_then(|thinking| thinking.show) != Some(true),
        repeat: (client == Dialect::OpenAiResponses).then(|| Box::new(repeat(question))),
    };
    let adapt = Adapt::new(
        rendered.text_tool.take(),
        request.custom_tools(),
        std::mem::take(&mut rendered.renamed),
    );
    let reader = Reader::new(target.dialect(), ids).ok_or_else(unreadable)?;
    let kind = if question.stream {
        let writer = Writer::new(client, echo).ok_or_else(unreadable)?;
        Kind::Stream {
            frames: Frames::new(MAX_FRAME),
            reader,
            adapt,
            writer,
        }
    } else {
        Kind::Whole {
            reader,
            adapt,
            echo,
        }
    };
    let operation = target.operation(question.stream);
    Ok(upstream(
        operation,
        question.stream,
        rendered,
        Answering::new(question, kind),
    ))
}

fn repeat(question: &Question<'_>) -> openai_responses::Repeat {
    let repeat = openai_responses::Repeat::of(question.body);
    match question.settled {
        Some(settled) => repeat.settled(settled),
        None => repeat,
    }
}

/// The state of one answer on its way to the client.
#[derive(Debug)]
pub struct Answering {
    /// The client's protocol.
    client: Dialect,
    operation: Operation,
    model: String,
    now: u64,
    kind: Kind,
    /// It broke: nothing follows.
    failed: bool,
    /// Its end has been written.
    over: bool,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one a stream, and boxed with all of its answer"
)]
enum Kind {
    Stream {
        frames: Frames,
        reader: Reader,
        adapt: Adapt,
        writer: Writer,
    },
    Whole {
        reader: Reader,
        adapt: Adapt,
        echo: Echo,
    },
    Embeddings(embeddings::Asked),
    Image(Reader),
    Count,
}

/// Why a whole answer is none.
#[derive(Debug)]
pub enum Unusable {
    /// The provider says that it failed.
    Error(UpstreamError),
    /// It is not what the protocol says.
    Garbage,
    /// It is an answer, and tells the client that there is none.
    Refusal(Fault),
}

impl Answering {
    fn new(question: &Question<'_>, kind: Kind) -> Self {
        Self {
            client: question.operation.dialect(),
            operation: question.operation,
            model: question.model.to_owned(),
            now: question.now,
            kind,
            failed: false,
            over: false,
        }
    }

    /// Reads on in a stream, and appends what the client gets: whole events. The error, once, with which the provider
    /// broke it off.
    pub fn feed(&mut self, chunk: &Bytes, end: bool, out: &mut Vec<u8>) -> Option<UpstreamError> {
        let Kind::Stream {
            frames,
            reader,
            adapt,
            writer,
        } = &mut self.kind
        else {
            return None;
        };
        if self.failed {
            return None;
        }
        let (mut fault, mut over) = (None, false);
        let mut sink = |event: Event<'_>| {
            adapt.event(event, &mut |event| match event {
                Event::Fault(error) => fault = Some(error),
                event => {
                    over |= matches!(event, Event::Finish);
                    writer.event(event, out);
                }
            });
        };
        let pushed = frames.push(chunk, |frame| read_frame(reader, &frame, &mut sink));
        if pushed.is_err() {
            fault = Some(oversized());
        } else if end {
            let rest = frames.rest();
            read_frame(reader, &rest, &mut sink);
            reader.end(&mut sink);
        }
        self.failed = fault.is_some();
        self.over |= over;
        fault
    }

    /// The client has been given the end of the stream.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Ends the client's stream with what its protocol says of a failure.
    pub fn break_off(&mut self, fault: &Fault, request_id: &str, out: &mut Vec<u8>) {
        self.failed = true;
        let is_told = match &mut self.kind {
            Kind::Stream { writer, .. } => writer.failed(fault, out),
            Kind::Whole { .. } | Kind::Embeddings(_) | Kind::Image(_) | Kind::Count => false,
        };
        if !is_told {
            out.extend_from_slice(&self.operation.error_event(fault, request_id));
        }
    }

    /// The provider broke the stream off, and the client has been told.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// What has been said of the answer as a whole, in a protocol whose answers can be kept; `None`: it is not over.
    pub fn kept(&self) -> Option<Vec<u8>> {
        match &self.kind {
            Kind::Stream { writer, .. } => writer.kept(),
            Kind::Whole { .. } | Kind::Embeddings(_) | Kind::Image(_) | Kind::Count => None,
        }
    }

    /// The answer as far as it has come, where it can be kept.
    pub fn so_far(&self) -> Option<Vec<u8>> {
        match &self.kind {
            Kind::Stream { writer, .. } => writer.so_far(),
            Kind::Whole { .. } | Kind::Embeddings(_) | Kind::Image(_) | Kind::Count => None,
        }
    }

    /// Turns a whole answer into the client's.
    pub fn whole(&mut self, body: &[u8]) -> Result<Vec<u8>, Unusable> {
        match &mut self.kind {
            Kind::Stream { .. } => Err(Unusable::Garbage),
            Kind::Whole {
                reader,
                adapt,
                echo,
            } => {
                let answer = fold(reader, adapt, body)?;
                write_answer(self.client, &answer, echo).ok_or(Unusable::Garbage)
            }
            Kind::Embeddings(asked) => {
                embeddings::write_answer(asked, body, &self.model).ok_or(Unusable::Garbage)
            }
            Kind::Image(reader) => {
                let answer = fold(reader, &mut Adapt::default(), body)?;
                images::write_answer(&answer, self.now).map_err(Unusable::Refusal)
            }
            Kind::Count => {
                let tokens = read_counted(body).ok_or(Unusable::Garbage)?;
                Ok(write_count(self.operation, tokens))
            }
        }
    }
}

fn fold(reader: &mut Reader, adapt: &mut Adapt, body: &[u8]) -> Result<Answer, Unusable> {
    let mut fold = Fold::default();
    reader.body(body, &mut |event| {
        adapt.event(event, &mut |event| fold.event(event));
    });
    let mut answer = fold.finish();
    match answer.fault.take() {
        Some(error) => Err(Unusable::Error(error)),
        None => Ok(answer),
    }
}

fn oversized() -> UpstreamError {
    UpstreamError::new(502, "The provider sent an event that is too large.")
}

fn read_frame(reader: &mut Reader, frame: &[u8], sink: &mut dyn FnMut(Event<'_>)) {
    let Some(data) = sse::parse(frame).data else {
        return;
    };
    // Some leave out the blank lines between their events: then each line is one.
    if data.contains(&b'\n') && serde_json::from_slice::<IgnoredAny>(&data).is_err() {
        for line in data.split(|&b| b == b'\n') {
            reader.data(line, sink);
        }
    } else {
        reader.data(&data, sink);
    }
}
