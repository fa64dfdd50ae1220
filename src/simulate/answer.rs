//! What to say: an answer that depends on the request alone, the same streamed and unstreamed.
//!
//! Owns: the neutral view of a request (`Ask`), the neutral answer (`Say`) and the count of tokens.
//! Knows no dialect.

use serde_json::Value;

use super::fault::Steer;
use super::schema;

/// Tokens of an image, whatever its size.
pub(super) const IMAGE_TOKENS: u64 = 85;

/// One token for every four characters, at least one.
pub(super) fn count(text: &str) -> u64 {
    let chars = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    chars.div_ceil(4).max(1)
}

/// A function that the request offers.
#[derive(Clone, Debug)]
pub(super) struct Tool {
    pub(super) name: String,
    pub(super) schema: Value,
    /// Free-form input instead of JSON arguments.
    pub(super) custom: bool,
}

/// Which tools may or must be called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Choice {
    #[default]
    Auto,
    None,
    Any,
    Named(String),
}

/// The request, as far as the answer depends on it.
#[derive(Clone, Debug, Default)]
pub(super) struct Ask {
    pub(super) model: String,
    /// The text of the last message of the user.
    pub(super) user: String,
    /// The texts of the user's messages before it.
    pub(super) earlier: Vec<String>,
    /// How many answers with text, and how many results of tools, the conversation holds.
    pub(super) answered: usize,
    pub(super) used: usize,
    /// What the tools gave back, when the last message carries that.
    pub(super) results: Vec<String>,
    pub(super) tools: Vec<Tool>,
    pub(super) choice: Choice,
    pub(super) parallel: bool,
    pub(super) limit: Option<u64>,
    pub(super) stops: Vec<String>,
    /// The schema of a structured answer; the empty object for "any JSON object".
    pub(super) schema: Option<Value>,
    pub(super) reasoning: bool,
}

impl Ask {
    /// The user speaks.
    pub(super) fn hear(&mut self, text: String) {
        let before = std::mem::replace(&mut self.user, text);
        if !before.is_empty() {
            self.earlier.push(before);
        }
    }

    /// Whether the user asks what was said before: a test learns from the answer which history was sent.
    fn recalls(&self) -> bool {
        self.results.is_empty() && self.user.starts_with("RECALL")
    }

    fn recalled(&self) -> String {
        let said = if self.earlier.is_empty() {
            "nothing".to_owned()
        } else {
            self.earlier.join(" | ")
        };
        format!(
            "Hello from {}. Before this you said: {said}. Answers: {}. Tool results: {}.",
            self.model, self.answered, self.used
        )
    }
}

/// Why the answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    Stop,
    Length,
    StopSequence(String),
    Tools,
    Refusal,
}

/// A call of a tool; `arguments` is JSON text, or the bare input of a custom tool.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) arguments: String,
    pub(super) custom: bool,
}

/// The answer.
#[derive(Clone, Debug)]
pub(super) struct Say {
    pub(super) thought: Option<String>,
    pub(super) text: String,
    pub(super) calls: Vec<Call>,
    pub(super) finish: Finish,
    /// Whether the answer takes its time: for tests that must come in the middle of it.
    pub(super) slow: bool,
}

impl Say {
    /// An answer without output.
    pub(super) fn nothing() -> Self {
        Say {
            thought: None,
            text: String::new(),
            calls: Vec::new(),
            finish: Finish::Stop,
            slow: false,
        }
    }

    pub(super) fn reasoning_tokens(&self) -> u64 {
        self.thought.as_deref().map_or(0, count)
    }

    /// Everything that was sent, reasoning included.
    pub(super) fn output_tokens(&self) -> u64 {
        let text = if self.text.is_empty() {
            0
        } else {
            count(&self.text)
        };
        let calls: u64 = self
            .calls
            .iter()
            .map(|call| count(&call.name) + count(&call.arguments))
            .sum();
        (self.reasoning_tokens() + text + calls).max(1)
    }

    pub(super) fn refused(&self) -> bool {
        self.finish == Finish::Refusal
    }
}

/// Makes the answer to a request. `RECALL`, `REFUSE` and `SLOWLY` in what the user says have their own.
pub(super) fn say(ask: &Ask, steer: &Steer) -> Say {
    let thought = ask.reasoning.then(|| {
        format!(
            "The user wrote {} words to {}. I will answer in one go.",
            ask.user.split_whitespace().count(),
            ask.model
        )
    });
    let slow = ask.user.contains("SLOWLY");
    let calls = calls(ask);
    if !calls.is_empty() {
        return Say {
            thought,
            text: String::new(),
            calls,
            finish: Finish::Tools,
            slow,
        };
    }
    let (text, finish) = if ask.user.contains("REFUSE") {
        (
            "I'm sorry, but I can't help with that request.".to_owned(),
            Finish::Refusal,
        )
    } else if let Some(wanted) = &ask.schema {
        (
            schema::instance(wanted, &words(&ask.user)).to_string(),
            Finish::Stop,
        )
    } else if ask.recalls() {
        (ask.recalled(), Finish::Stop)
    } else if ask.results.is_empty() {
        (
            pad(
                format!("Hello from {}. You said: {}", ask.model, ask.user),
                steer,
            ),
            Finish::Stop,
        )
    } else {
        (
            pad(
                format!(
                    "Hello from {}. The tools answered: {}",
                    ask.model,
                    ask.results.join("; ")
                ),
                steer,
            ),
            Finish::Stop,
        )
    };
    limit(
        Say {
            thought,
            text,
            calls: Vec::new(),
            finish,
            slow,
        },
        ask,
    )
}

/// The words of the user's text that can stand in a JSON string without a fuss.
fn words(text: &str) -> Vec<&str> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| word.chars().count() > 3)
        .take(64)
        .collect()
}

/// The calls that answer this request; none if it is to be answered with text.
fn calls(ask: &Ask) -> Vec<Call> {
    if !ask.results.is_empty() || ask.choice == Choice::None {
        return Vec::new();
    }
    let chosen: Vec<&Tool> = match &ask.choice {
        Choice::Named(name) => ask
            .tools
            .iter()
            .filter(|tool| tool.name == *name)
            .take(1)
            .collect(),
        _ => {
            let lower = ask.user.to_lowercase();
            let several = ask.parallel && (lower.contains("both") || lower.contains("parallel"));
            ask.tools.iter().take(if several { 2 } else { 1 }).collect()
        }
    };
    let words = words(&ask.user);
    chosen
        .into_iter()
        .map(|tool| Call {
            name: tool.name.clone(),
            arguments: if tool.custom {
                ask.user.clone()
            } else {
                arguments(&tool.schema, &words)
            },
            custom: tool.custom,
        })
        .collect()
}

fn arguments(wanted: &Value, words: &[&str]) -> String {
    match schema::instance(wanted, words) {
        Value::Object(members) => Value::Object(members).to_string(),
        _ => "{}".to_owned(),
    }
}

/// Lengthens a text to about `size` bytes, and to enough letters for the pieces that were asked for.
fn pad(mut text: String, steer: &Steer) -> String {
    let pieces = steer
        .events
        .map_or(0, |count| usize::try_from(count).unwrap_or(0));
    let least = if text.len() < pieces {
        pieces.saturating_mul(5)
    } else {
        0
    };
    let size = steer.size.unwrap_or(0).max(least);
    text.reserve(size.saturating_sub(text.len()));
    let mut number = 0_u32;
    while text.len() < size {
        number = number.wrapping_add(1);
        text.push_str(" word");
        text.push_str(&(number % 1000).to_string());
    }
    text
}

/// Cuts the answer at a stop sequence and at the limit of tokens.
fn limit(mut say: Say, ask: &Ask) -> Say {
    if !say.refused() && ask.schema.is_none() {
        let first = ask
            .stops
            .iter()
            .filter(|stop| !stop.is_empty())
            .filter_map(|stop| say.text.find(stop.as_str()).map(|at| (at, stop.clone())))
            .min_by_key(|(at, _)| *at);
        if let Some((at, stop)) = first {
            say.text.truncate(at);
            say.finish = Finish::StopSequence(stop);
        }
    }
    let Some(most) = ask.limit else { return say };
    if say.reasoning_tokens() > most {
        say.thought = say.thought.map(|thought| head(&thought, most));
        say.text.clear();
        say.finish = Finish::Length;
        return say;
    }
    let left = most - say.reasoning_tokens();
    if !say.text.is_empty() && count(&say.text) > left {
        say.text = head(&say.text, left);
        say.finish = Finish::Length;
    }
    say
}

/// The first `tokens` tokens of a text.
fn head(text: &str, tokens: u64) -> String {
    text.chars()
        .take(usize::try_from(tokens.saturating_mul(4)).unwrap_or(usize::MAX))
        .collect()
}

/// Divides a text into the pieces of a stream: one for each word, or as many as `events` says.
pub(super) fn pieces(text: &str, events: Option<u32>) -> Vec<String> {
    match events {
        None => by_word(text),
        Some(wanted) => {
            let chars = text.chars().count();
            let wanted = usize::try_from(wanted).unwrap_or(1).clamp(1, chars.max(1));
            by_share(text, chars, wanted)
        }
    }
}

/// Each piece is a word with the space before it, as models cut text.
fn by_word(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut piece = String::new();
    for letter in text.chars() {
        if letter.is_whitespace() && !piece.trim().is_empty() {
            out.push(std::mem::take(&mut piece));
        }
        piece.push(letter);
    }
    if !piece.is_empty() {
        out.push(piece);
    }
    out
}

fn by_share(text: &str, chars: usize, wanted: usize) -> Vec<String> {
    let mut out = Vec::with_capacity(wanted);
    let mut letters = text.chars();
    for at in 0..wanted {
        let from = at * chars / wanted;
        let to = (at + 1) * chars / wanted;
        let piece: String = letters.by_ref().take(to - from).collect();
        if !piece.is_empty() {
            out.push(piece);
        }
    }
    out
}

/// Divides the arguments of a call into several deltas.
pub(super) fn fragments(arguments: &str) -> Vec<String> {
    let chars = arguments.chars().count();
    by_share(arguments, chars, (chars / 8).clamp(2, 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(user: &str) -> Ask {
        Ask {
            model: "m".to_owned(),
            user: user.to_owned(),
            parallel: true,
            ..Ask::default()
        }
    }

    #[test]
    fn the_pieces_make_the_text_again() {
        let text = "Grüße aus  München,\nline two 🦀 end ";
        for events in [None, Some(1), Some(3), Some(1000)] {
            assert_eq!(pieces(text, events).concat(), text);
        }
        assert_eq!(pieces("a b c d e f", Some(3)).len(), 3);
        assert_eq!(fragments("{}").concat(), "{}");
    }

    #[test]
    fn a_limit_and_a_stop_sequence_cut_the_text() {
        let mut short = ask("one two three four");
        short.limit = Some(2);
        let said = say(&short, &Steer::default());
        assert_eq!(
            (said.text.as_str(), said.finish),
            ("Hello fr", Finish::Length)
        );
        let mut stopped = ask("one two three");
        stopped.stops = vec!["two".to_owned()];
        let said = say(&stopped, &Steer::default());
        assert_eq!(said.text, "Hello from m. You said: one ");
        assert_eq!(said.finish, Finish::StopSequence("two".to_owned()));
    }

    #[test]
    fn what_was_said_before_can_be_recalled() {
        let mut asked = ask("");
        for text in ["I am Ada", "I like tea", "RECALL"] {
            asked.hear(text.to_owned());
        }
        asked.answered = 2;
        assert_eq!(
            say(&asked, &Steer::default()).text,
            "Hello from m. Before this you said: I am Ada | I like tea. Answers: 2. Tool results: 0."
        );
    }

    #[test]
    fn both_tools_are_called_when_asked_for() {
        let tool = |name: &str| Tool {
            name: name.to_owned(),
            schema: Value::Null,
            custom: false,
        };
        let mut both = ask("use both");
        both.tools = vec![tool("a"), tool("b"), tool("c")];
        assert_eq!(say(&both, &Steer::default()).calls.len(), 2);
        both.parallel = false;
        assert_eq!(say(&both, &Steer::default()).calls.len(), 1);
        both.choice = Choice::Named("c".to_owned());
        assert_eq!(say(&both, &Steer::default()).calls[0].name, "c");
        both.results = vec!["42".to_owned()];
        assert!(say(&both, &Steer::default()).text.contains("42"));
    }
}
