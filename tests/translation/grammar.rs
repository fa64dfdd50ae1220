//! The grammar of events (see `chat::event`), checked event by event. The fuzz targets use it too.

use torouter::chat::{Delta, Event, Open};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Text,
    Reasoning,
    Call,
    Refusal,
    Media,
}

#[derive(Debug)]
struct Opened {
    kind: Kind,
    choice: u32,
    is_open: bool,
}

/// What has come so far.
#[derive(Debug, Default)]
pub struct Grammar {
    started: bool,
    parts: Vec<Opened>,
    /// Choices whose `Stop` has come.
    stopped: Vec<u32>,
    over: bool,
}

impl Grammar {
    /// The mistake that `event` would be, coming next.
    pub fn event(&mut self, event: &Event<'_>) -> Result<(), String> {
        self.check(event)
            .map_err(|what| format!("{what}: {event:?}"))
    }

    fn check(&mut self, event: &Event<'_>) -> Result<(), &'static str> {
        if self.over {
            return Err("something after the end");
        }
        match event {
            Event::Start { .. } => {
                if self.started {
                    return Err("a second start");
                }
                self.started = true;
                return Ok(());
            }
            // An answer may be nothing but an error.
            Event::Fault(_) if !self.started => {
                self.over = true;
                return Ok(());
            }
            _ if !self.started => return Err("something before the start"),
            _ => {}
        }
        match event {
            Event::Stop(stop) => {
                if self.parts.iter().any(|part| part.is_open) {
                    return Err("a stop while a part is open");
                }
                if self.stopped.contains(&stop.choice) {
                    return Err("a choice stops twice");
                }
                self.stopped.push(stop.choice);
                Ok(())
            }
            Event::Finish => {
                self.over = true;
                if self.stopped.is_empty() {
                    return Err("a finish without a stop");
                }
                let all_stopped = |part: &Opened| self.stopped.contains(&part.choice);
                if !self.parts.iter().all(all_stopped) {
                    return Err("a finish before each choice has stopped");
                }
                Ok(())
            }
            Event::Fault(_) => {
                self.over = true;
                if self.parts.iter().any(|part| part.is_open) {
                    return Err("a fault while a part is open");
                }
                Ok(())
            }
            _ if !self.stopped.is_empty() => Err("something after a stop"),
            Event::Open { part, choice, kind } => self.open(*part, *choice, kind),
            Event::Delta { part, delta } => self.delta(*part, delta),
            Event::Close { part } => {
                let part = self.part(*part)?;
                part.is_open = false;
                Ok(())
            }
            Event::Logprobs { .. }
            | Event::Usage(_)
            | Event::ServiceTier(_)
            | Event::Ping
            | Event::Start { .. } => Ok(()),
        }
    }

    fn open(&mut self, part: u32, choice: u32, kind: &Open<'_>) -> Result<(), &'static str> {
        if part as usize != self.parts.len() {
            return Err("part numbers are not contiguous");
        }
        let kind = match kind {
            Open::Text => Kind::Text,
            Open::Reasoning { .. } => Kind::Reasoning,
            Open::ToolCall { id, .. } if id.is_empty() => return Err("a call without an id"),
            Open::ToolCall { .. } => Kind::Call,
            Open::Refusal => Kind::Refusal,
            Open::Media(_) => Kind::Media,
        };
        self.parts.push(Opened {
            kind,
            choice,
            is_open: true,
        });
        Ok(())
    }

    /// An open part.
    fn part(&mut self, part: u32) -> Result<&mut Opened, &'static str> {
        match self.parts.get_mut(part as usize) {
            Some(part) if part.is_open => Ok(part),
            Some(_) => Err("the part is closed"),
            None => Err("the part was never opened"),
        }
    }

    fn delta(&mut self, part: u32, delta: &Delta<'_>) -> Result<(), &'static str> {
        let kind = self.part(part)?.kind;
        let fits = match delta {
            Delta::Text(text) if text.is_empty() => return Err("an empty text"),
            Delta::Text(_) => kind != Kind::Call,
            Delta::Arguments(_) => kind == Kind::Call,
            Delta::Signature(_) => matches!(kind, Kind::Text | Kind::Reasoning | Kind::Call),
            Delta::Citation(_) => kind == Kind::Text,
            Delta::Data(_) => kind == Kind::Media,
        };
        if fits {
            Ok(())
        } else {
            Err("a delta of another kind than its part")
        }
    }

    /// The mistake that it would be to say nothing more.
    pub fn end(&self) -> Result<(), String> {
        if self.over {
            Ok(())
        } else {
            Err("neither finished nor failed".to_owned())
        }
    }
}
