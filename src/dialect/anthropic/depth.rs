//! How much a model is told to think (<https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking>).

use super::{MIN_BUDGET, Target, Thinking};
use crate::chat::{Depth, Effort, Loss, Request};

/// What is said of thinking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Thought {
    pub(super) mode: Mode,
    /// The word for `output_config.effort`.
    pub(super) effort: Option<&'static str>,
    pub(super) display: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nothing is said.
    #[default]
    Unsaid,
    Disabled,
    Enabled(u64),
    Adaptive,
}

impl Mode {
    pub(super) fn is_on(self) -> bool {
        match self {
            Self::Unsaid | Self::Disabled => false,
            Self::Enabled(_) | Self::Adaptive => true,
        }
    }
}

/// What stands against thinking in this request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Against {
    /// `tool_choice` forces a call: refused together with thinking.
    pub(super) forced: bool,
    /// A call is answered whose turn does not begin with thinking of Anthropic's own: refused with a budget.
    pub(super) unsigned_loop: bool,
    /// The last turn is the assistant's: refused together with thinking.
    pub(super) prefill: bool,
}

pub(super) fn plan(
    request: &Request<'_>,
    target: &Target<'_>,
    against: Against,
    losses: &mut Vec<Loss>,
) -> Thought {
    let Some(asked) = request.thinking else {
        return Thought::default();
    };
    let depth = match (asked.depth, asked.show) {
        (Some(depth), _) => depth,
        // Who wants to see thoughts wants them thought.
        (None, Some(true)) => Depth::Dynamic,
        (None, Some(false) | None) => return Thought::default(),
    };
    let Some(kind) = target.thinking else {
        if depth != Depth::Off {
            losses.push(Loss::cosmetic("thinking"));
        }
        return Thought::default();
    };
    let mut thought = Thought::default();
    if target.effort && kind == Thinking::Adaptive {
        thought.effort = match depth {
            Depth::Off | Depth::Dynamic => None,
            Depth::Effort(effort) => Some(word(effort)),
            Depth::Budget(tokens) => Some(word(Effort::of_budget(tokens))),
        };
    }
    if depth == Depth::Off {
        thought.mode = Mode::Disabled;
        return thought;
    }
    let refused =
        against.forced || against.prefill || (kind == Thinking::Budget && against.unsigned_loop);
    thought.mode = match kind {
        _ if refused => Mode::Unsaid,
        Thinking::Adaptive => Mode::Adaptive,
        Thinking::Budget => budget(depth, request.max_tokens.unwrap_or(target.max_output)),
    };
    if !thought.mode.is_on() {
        losses.push(Loss::cosmetic("thinking"));
    }
    if thought.mode == Mode::Adaptive {
        thought.display = asked
            .show
            .map(|show| if show { "summarized" } else { "omitted" });
    }
    thought
}

/// The budget must be less than `max_tokens`, and not below its least.
fn budget(depth: Depth, max_tokens: u64) -> Mode {
    let wanted = match depth {
        Depth::Budget(tokens) => tokens,
        Depth::Effort(effort) => effort.budget(),
        Depth::Dynamic | Depth::Off => Effort::Medium.budget(),
    };
    let wanted = wanted.max(MIN_BUDGET);
    if max_tokens <= MIN_BUDGET {
        Mode::Unsaid
    } else if max_tokens <= wanted {
        Mode::Enabled((max_tokens / 2).max(MIN_BUDGET))
    } else {
        Mode::Enabled(wanted)
    }
}

/// `xhigh` is known to a few models only, `max` to all that know efforts.
fn word(effort: Effort) -> &'static str {
    match effort {
        Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::XHigh | Effort::Max => "max",
    }
}
