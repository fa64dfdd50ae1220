//! What a request had to be bent into is bent back in its answer: a tool that stands for structured output is text
//! again, a free-form tool that was given a schema gets its bare input, a tool that had to be renamed its name.

use serde::Deserialize;

use super::event::{Delta, Event, Open, Stop, StopReason};
use super::request::Text;

#[derive(Debug, Default)]
pub struct Adapt {
    /// A call of this tool is the answer's text.
    pub text_tool: Option<String>,
    /// Free-form tools that were given as functions of one text, `input`.
    pub custom_tools: Vec<String>,
    /// `(sent, wanted)` names.
    pub renamed: Vec<(String, String)>,
    /// Parts that are bent, with what is gathered of them.
    bent: Vec<(u32, Bent)>,
    /// A real tool has been called.
    called: bool,
}

#[derive(Debug)]
enum Bent {
    /// `is_empty`: nothing has come yet; no arguments are an empty object.
    Text {
        is_empty: bool,
    },
    Custom(String),
}

#[derive(Deserialize)]
struct Input {
    input: String,
}

impl Adapt {
    pub fn new(
        text_tool: Option<String>,
        custom_tools: Vec<String>,
        renamed: Vec<(String, String)>,
    ) -> Self {
        Self {
            text_tool,
            custom_tools,
            renamed,
            ..Self::default()
        }
    }

    fn is_idle(&self) -> bool {
        self.text_tool.is_none() && self.custom_tools.is_empty() && self.renamed.is_empty()
    }

    pub fn event(&mut self, event: Event<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        if self.is_idle() {
            return sink(event);
        }
        match event {
            Event::Open {
                part,
                choice,
                kind: Open::ToolCall { id, name, custom },
            } => {
                let kind = self.open(part, id, name, custom);
                sink(Event::Open { part, choice, kind });
            }
            Event::Delta {
                part,
                delta: Delta::Arguments(more),
            } => match self.bent(part) {
                None => sink(Event::Delta {
                    part,
                    delta: Delta::Arguments(more),
                }),
                Some(Bent::Text { is_empty }) => {
                    *is_empty &= more.is_empty();
                    sink(Event::Delta {
                        part,
                        delta: Delta::Text(more),
                    });
                }
                Some(Bent::Custom(gathered)) => gathered.push_str(&more),
            },
            Event::Close { part } => {
                if let Some(Bent::Text { is_empty: true }) = self.bent(part) {
                    sink(Event::Delta {
                        part,
                        delta: Delta::Text("{}".into()),
                    });
                }
                if let Some(Bent::Custom(gathered)) = self.bent(part) {
                    let whole = std::mem::take(gathered);
                    let input = serde_json::from_str::<Input>(&whole).map_or(whole, |i| i.input);
                    sink(Event::Delta {
                        part,
                        delta: Delta::Arguments(Text::Owned(input)),
                    });
                }
                sink(Event::Close { part });
            }
            Event::Stop(stop) if stop.reason == StopReason::ToolCalls && !self.called => {
                sink(Event::Stop(Stop {
                    reason: StopReason::End,
                    ..stop
                }));
            }
            other => sink(other),
        }
    }

    fn open<'a>(&mut self, part: u32, id: Text<'a>, name: Text<'a>, custom: bool) -> Open<'a> {
        let name = self
            .renamed
            .iter()
            .find(|(sent, _)| *sent == name)
            .map_or(name, |(_, wanted)| Text::Owned(wanted.clone()));
        if self.text_tool.as_deref() == Some(&*name) {
            self.bent.push((part, Bent::Text { is_empty: true }));
            return Open::Text;
        }
        self.called = true;
        let custom = custom || {
            let is_custom = self.custom_tools.iter().any(|tool| *tool == name);
            if is_custom {
                self.bent.push((part, Bent::Custom(String::new())));
            }
            is_custom
        };
        Open::ToolCall { id, name, custom }
    }

    fn bent(&mut self, part: u32) -> Option<&mut Bent> {
        self.bent
            .iter_mut()
            .find(|(bent, _)| *bent == part)
            .map(|(_, bent)| bent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Fold, PartKind};

    fn call(adapt: &mut Adapt, name: &'static str, pieces: &[&'static str]) -> Fold {
        let mut fold = Fold::default();
        let mut events = vec![Event::Open {
            part: 0,
            choice: 0,
            kind: Open::ToolCall {
                id: "call_1".into(),
                name: name.into(),
                custom: false,
            },
        }];
        events.extend(pieces.iter().map(|piece| Event::Delta {
            part: 0,
            delta: Delta::Arguments((*piece).into()),
        }));
        events.push(Event::Close { part: 0 });
        events.push(Event::Stop(Stop {
            choice: 0,
            reason: StopReason::ToolCalls,
            sequence: None,
            detail: None,
        }));
        for event in events {
            adapt.event(event, &mut |event| fold.event(event));
        }
        fold
    }

    #[test]
    fn a_tool_that_stands_for_the_answer_is_text_again() {
        let mut adapt = Adapt::new(Some("response".into()), Vec::new(), Vec::new());
        let answer = call(&mut adapt, "response", &["{\"a\":", "1.0}"]).finish();
        let choice = &answer.choices[0];
        assert_eq!(choice.parts[0].as_text(), Some("{\"a\":1.0}"));
        assert_eq!(choice.stop, Some(StopReason::End));
        let mut adapt = Adapt::new(Some("response".into()), Vec::new(), Vec::new());
        let answer = call(&mut adapt, "response", &[]).finish();
        assert_eq!(answer.choices[0].parts[0].as_text(), Some("{}"));
    }

    #[test]
    fn a_free_form_call_gets_its_bare_input_and_a_renamed_one_its_name() {
        let renamed = vec![("a_b".to_owned(), "a/b".to_owned())];
        let mut adapt = Adapt::new(None, vec!["a/b".into()], renamed);
        let answer = call(&mut adapt, "a_b", &["{\"input\":\"x\\n", "y\"}"]).finish();
        let choice = &answer.choices[0];
        let PartKind::ToolCall(call) = &choice.parts[0].kind else {
            panic!("no call");
        };
        assert_eq!((&*call.name, &*call.arguments), ("a/b", "x\ny"));
        assert!(call.custom);
        assert_eq!(choice.stop, Some(StopReason::ToolCalls));
    }
}
