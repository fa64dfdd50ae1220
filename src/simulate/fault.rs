//! What may go wrong, on purpose: as the options say by chance, or as a request's own headers say.
//!
//! Owns: the words for faults and the steering headers. Knows nothing of sessions.

use std::str::FromStr;
use std::time::Duration;

use super::exchange::Request;
use super::sign;
use super::{Options, Simulator};

/// A fault and how often it happens.
#[derive(Clone, Debug, PartialEq)]
pub struct Fail {
    pub kind: Fault,
    pub probability: f64,
}

/// What goes wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The provider's own error of this status.
    Status(u16),
    /// No byte, ever, until the client leaves.
    Hang,
    /// The connection is closed before any byte.
    Close,
    /// A 200 stream whose first event is the dialect's error; unstreamed, a 200 whose body is an error.
    ErrorFirst,
    /// A 200 without a body.
    Empty,
    /// A 200 with bytes that are no answer.
    Garbage,
    /// A 200 with a web page.
    Html,
    /// A 302 to somewhere else.
    Redirect,
    /// A 200 whose JSON body is an error, streamed or not.
    ErrorBody,
    /// The answer ends abruptly after so many events.
    Cut(u32),
    /// A WebSocket is refused; all other requests are well.
    NoUpgrade,
}

const WORDS: &str = "a status from 400 to 599, hang, close, error-first, empty, garbage, html, redirect, error-body, no-upgrade or cut=N";

impl FromStr for Fault {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        if let Ok(status) = word.parse::<u16>() {
            return if (400..600).contains(&status) {
                Ok(Fault::Status(status))
            } else {
                Err(format!(
                    "`{word}` is no error status; known faults: {WORDS}"
                ))
            };
        }
        if let Some(events) = word
            .strip_prefix("cut=")
            .or_else(|| word.strip_prefix("cut:"))
        {
            let events = events
                .parse()
                .map_err(|_| format!("`{word}`: N in `cut=N` is a number of events"))?;
            return Ok(Fault::Cut(events));
        }
        match word {
            "hang" => Ok(Fault::Hang),
            "close" => Ok(Fault::Close),
            "error-first" => Ok(Fault::ErrorFirst),
            "empty" => Ok(Fault::Empty),
            "garbage" => Ok(Fault::Garbage),
            "html" => Ok(Fault::Html),
            "redirect" => Ok(Fault::Redirect),
            "error-body" => Ok(Fault::ErrorBody),
            "no-upgrade" => Ok(Fault::NoUpgrade),
            _ => Err(format!("`{word}` is no fault; known faults: {WORDS}")),
        }
    }
}

impl FromStr for Fail {
    type Err = String;

    /// `429:0.1`, `cut=3:0.5`, or a fault alone, which then happens always.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(kind) = text.parse::<Fault>() {
            return Ok(Fail {
                kind,
                probability: 1.0,
            });
        }
        let Some((word, share)) = text.rsplit_once(':') else {
            return text.parse::<Fault>().map(|kind| Fail {
                kind,
                probability: 1.0,
            });
        };
        let kind = word.parse::<Fault>()?;
        let probability: f64 = share.parse().map_err(|_| {
            format!("`{text}`: `{share}` is no probability; write for example `{word}:0.1`")
        })?;
        if !(0.0..=1.0).contains(&probability) {
            return Err(format!("`{text}`: a probability lies between 0 and 1"));
        }
        Ok(Fail { kind, probability })
    }
}

/// The fault of one answer: the public ones, and those that only a request's header can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Fault(Fault),
    /// The opening events, then the error.
    Late,
    /// The provider's answer to a credential that is no good.
    BadKey,
}

impl Trouble {
    /// Whether the fault can happen to such a request. A WebSocket's opening and its turns share their headers:
    /// what hits a provider before it looks at the request hits the opening, the rest each turn.
    fn hits(&self, asked: Asked) -> bool {
        let no_upgrade = *self == Trouble::Fault(Fault::NoUpgrade);
        match asked {
            Asked::Answer => !no_upgrade,
            Asked::Upgrade => no_upgrade || self.comes_first(),
        }
    }

    /// Whether the fault happens before the provider looks at the request.
    pub(super) fn comes_first(&self) -> bool {
        match self {
            Trouble::BadKey => true,
            Trouble::Late => false,
            Trouble::Fault(fault) => match fault {
                Fault::Status(_) | Fault::Hang | Fault::Close | Fault::Html | Fault::Redirect => {
                    true
                }
                Fault::NoUpgrade
                | Fault::ErrorFirst
                | Fault::Empty
                | Fault::Garbage
                | Fault::ErrorBody
                | Fault::Cut(_) => false,
            },
        }
    }
}

/// What is asked for: an answer, or a WebSocket on which answers will be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Answer,
    Upgrade,
}

/// How one request wants to be answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Steer {
    pub(super) trouble: Option<Trouble>,
    pub(super) retry_after: Option<String>,
    pub(super) delay: Duration,
    pub(super) gap: Duration,
    pub(super) events: Option<u32>,
    pub(super) size: Option<usize>,
    pub(super) no_usage: bool,
    pub(super) chunking: Option<usize>,
    pub(super) crlf: bool,
    pub(super) comments: bool,
    pub(super) replay: Option<String>,
    pub(super) cut: Option<u32>,
}

/// Reads the steering headers over the options; the error says which header is wrong.
pub(super) fn steer(
    sim: &Simulator,
    options: &Options,
    request: &Request,
    asked: Asked,
) -> Result<Steer, String> {
    let mut steer = Steer {
        delay: options.latency,
        gap: options.gap,
        events: options.events,
        size: options.size,
        cut: options.cut,
        ..Steer::default()
    };
    if let Some(ms) = number(request, "x-sim-delay-ms")? {
        steer.delay = Duration::from_millis(ms);
    }
    if let Some(ms) = number(request, "x-sim-gap-ms")? {
        steer.gap = Duration::from_millis(ms);
    }
    if let Some(count) = number(request, "x-sim-events")? {
        steer.events = Some(u32::try_from(count).unwrap_or(u32::MAX));
    }
    if let Some(bytes) = number(request, "x-sim-size")? {
        // Bounded, so that a stray header cannot eat the memory of the machine.
        steer.size = Some(usize::try_from(bytes.min(256 << 20)).unwrap_or(256 << 20));
    }
    if let Some(bytes) = number(request, "x-sim-chunking")? {
        steer.chunking = Some(usize::try_from(bytes.max(1)).unwrap_or(1));
    }
    steer.no_usage = flag(request, "x-sim-no-usage");
    steer.crlf = flag(request, "x-sim-crlf");
    steer.comments = flag(request, "x-sim-comments");
    steer.replay = request.header("x-sim-replay").map(str::to_owned);
    match request.header("x-sim-fail") {
        Some(text) => ask_for_trouble(sim, text, asked, &mut steer)?,
        None => steer.trouble = by_chance(&options.fail, asked),
    }
    Ok(steer)
}

fn number(request: &Request, name: &str) -> Result<Option<u64>, String> {
    match request.header(name) {
        None => Ok(None),
        Some(text) => match text.trim().parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(format!("{name}: `{text}` is no number")),
        },
    }
}

fn flag(request: &Request, name: &str) -> bool {
    request
        .header(name)
        .is_some_and(|value| !matches!(value.trim(), "" | "0" | "false"))
}

/// Draws the options' faults in turn: each has its own chance.
fn by_chance(fails: &[Fail], asked: Asked) -> Option<Trouble> {
    fails
        .iter()
        .map(|fail| (Trouble::Fault(fail.kind.clone()), fail.probability))
        .find(|(trouble, share)| trouble.hits(asked) && *share > 0.0 && sign::chance() < *share)
        .map(|(trouble, _)| trouble)
}

/// `429;retry-after=7;skip=1;times=2;id=name`: the first request is well, the next two are not.
fn ask_for_trouble(
    sim: &Simulator,
    text: &str,
    asked: Asked,
    steer: &mut Steer,
) -> Result<(), String> {
    let mut fields = text.split(';').map(str::trim);
    let word = fields.next().unwrap_or_default();
    let count = |value: &str| {
        value
            .parse::<u32>()
            .map_err(|_| format!("x-sim-fail: `{value}` is no number of times"))
    };
    let (mut times, mut skip) = (None, 0);
    let mut id = "";
    for field in fields {
        match field.split_once('=') {
            Some(("retry-after", value)) => steer.retry_after = Some(value.to_owned()),
            Some(("times", value)) => times = Some(count(value)?),
            Some(("skip", value)) => skip = count(value)?,
            Some(("id", value)) => id = value,
            _ => {
                return Err(format!(
                    "x-sim-fail: `{field}` is unknown; known: retry-after=, skip=, times=, id="
                ));
            }
        }
    }
    let trouble = match word {
        "error-late" => Trouble::Late,
        "bad-key" => Trouble::BadKey,
        "" | "none" => return Ok(()),
        _ => Trouble::Fault(
            word.parse::<Fault>()
                .map_err(|error| format!("x-sim-fail: {error}, error-late, bad-key"))?,
        ),
    };
    if !trouble.hits(asked) {
        return Ok(());
    }
    let due = if times.is_none() && skip == 0 {
        true
    } else {
        let nth = sim.count(if id.is_empty() { word } else { id });
        nth > skip && nth - skip <= times.unwrap_or(u32::MAX)
    };
    if due {
        steer.trouble = Some(trouble);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fail_is_read_from_its_text() {
        let fail: Fail = "429:0.1".parse().unwrap();
        assert_eq!(
            fail,
            Fail {
                kind: Fault::Status(429),
                probability: 0.1
            }
        );
        let fail: Fail = "cut=3:0.5".parse().unwrap();
        assert_eq!(
            fail,
            Fail {
                kind: Fault::Cut(3),
                probability: 0.5
            }
        );
        assert!("hang".parse::<Fail>().unwrap().probability > 0.99);
        assert!(
            "hangs:0.1"
                .parse::<Fail>()
                .unwrap_err()
                .contains("error-first")
        );
        assert!("429:2".parse::<Fail>().is_err());
    }
}
