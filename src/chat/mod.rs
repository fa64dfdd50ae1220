//! The canonical conversation: what every protocol's request, answer and stream are read into and written from.
//!
//! It is made of ordered, typed parts, the most expressive form of the protocols; the flat ones are derived from
//! it. It knows no protocol: each reads and writes this form in its own folder.

pub mod adapt;
pub mod answer;
pub mod count;
pub mod event;
pub mod loss;
pub mod part;
pub mod request;
pub mod seal;

pub use adapt::Adapt;
pub use answer::{Answer, Choice, Fold};
pub use event::{Delta, Event, Open, Stop, StopReason};
pub use loss::{Loss, Severity};
pub use part::{
    CacheMark, Citation, Media, MediaKind, Part, PartKind, Reasoning, Signature, Source, ToolCall,
    ToolResult,
};
pub use request::{
    Depth, Effort, Format, Function, Hosted, Json, Logprobs, Request, Role, ServiceTier, Text,
    Thinking, Tool, ToolChoice, Turn,
};
