//! System, messages and their content blocks.

use super::citation;
use super::form::{Block, Cited, Source as WrittenSource, Turn as WrittenTurn};
use super::read_request::{Path, cache_mark, missing};
use super::thought::{self, Owner};
use crate::base::Fault;
use crate::chat::seal;
use crate::chat::{
    CacheMark, Citation, Loss, Media, MediaKind, Part, PartKind, Reasoning, Role, Signature,
    Source, Text, ToolCall, ToolResult, Turn,
};
use crate::wire::read::{Content, Str};

pub(super) fn system<'a>(
    content: Content<'a, Block<'a>>,
    losses: &mut Vec<Loss>,
) -> Result<Option<Turn<'a>>, Fault> {
    blocks(content, Role::System, &Path::Top("system"), losses)
}

pub(super) fn turn<'a>(
    written: WrittenTurn<'a>,
    at: &Path<'_>,
    losses: &mut Vec<Loss>,
) -> Result<Option<Turn<'a>>, Fault> {
    let role = match written.role.as_deref() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        Some(other) => {
            return Err(Path::Field(at, "role").wrong(&format!(
                "'{other}' is none of 'user', 'assistant' and 'system'"
            )));
        }
        None => return Err(missing(format!("{at}.role"))),
    };
    at.lost_fields(&written.unknown, losses);
    let Some(content) = written.content else {
        return Err(missing(format!("{at}.content")));
    };
    blocks(content, role, &Path::Field(at, "content"), losses)
}

/// A turn of which nothing is left is none.
fn blocks<'a>(
    content: Content<'a, Block<'a>>,
    role: Role,
    at: &Path<'_>,
    losses: &mut Vec<Loss>,
) -> Result<Option<Turn<'a>>, Fault> {
    let mut parts = Parts::new(role);
    parts.content(content, at, losses)?;
    let parts = parts.finish();
    Ok((!parts.is_empty()).then(|| Turn::new(role, parts)))
}

/// Gathers the parts of one turn, or of one result.
struct Parts<'a> {
    role: Role,
    all: Vec<Part<'a>>,
    /// Waits for the call that it signs.
    signature: Option<Signature<'a>>,
}

impl<'a> Parts<'a> {
    fn new(role: Role) -> Self {
        Self {
            role,
            all: Vec::new(),
            signature: None,
        }
    }

    fn finish(mut self) -> Vec<Part<'a>> {
        self.settle();
        self.all
    }

    /// A signature whose call did not come is that of a thought nobody shows.
    fn settle(&mut self) {
        if let Some(signature) = self.signature.take() {
            self.push(
                PartKind::Reasoning(Reasoning {
                    signature: Some(signature),
                    ..Reasoning::default()
                }),
                None,
            );
        }
    }

    fn push(&mut self, kind: PartKind<'a>, cache: Option<CacheMark>) {
        self.all.push(Part { kind, cache });
    }

    fn content(
        &mut self,
        content: Content<'a, Block<'a>>,
        at: &Path<'_>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), Fault> {
        match content {
            Content::Text(text) => self.all.push(Part::text(text)),
            Content::Many(blocks) => {
                self.all.reserve(blocks.len());
                for (index, block) in blocks.into_iter().enumerate() {
                    self.block(block, &Path::Item(at, index), losses)?;
                }
            }
        }
        Ok(())
    }

    fn block(
        &mut self,
        block: Block<'a>,
        at: &Path<'_>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), Fault> {
        let Some(kind) = block.kind.clone() else {
            return Err(missing(format!("{at}.type")));
        };
        let cache = block.cache_control.as_ref().map(cache_mark);
        let known = Known::of(&kind);
        if known != Some(Known::ToolUse) {
            self.settle();
        }
        let Some(known) = known else {
            self.unknown(&kind, at, losses);
            return Ok(());
        };
        at.lost_fields(&block.unknown, losses);
        match known {
            Known::Text => self.text(block, cache, at)?,
            Known::Image | Known::Document => self.media(known, block, cache, at, losses)?,
            Known::SearchResult => self.search_result(block, cache, at, losses)?,
            Known::ToolUse => self.tool_use(block, cache, at, losses)?,
            Known::ToolResult => self.tool_result(block, cache, at, losses)?,
            Known::Thinking => self.thinking(block),
            Known::RedactedThinking => {
                let signature = block.data.map(|data| seal::read(super::ORIGIN, data.0));
                self.push(
                    PartKind::Reasoning(Reasoning {
                        signature,
                        redacted: true,
                        ..Reasoning::default()
                    }),
                    None,
                );
            }
            Known::Compaction => self.compaction(&block, cache, at, losses),
        }
        Ok(())
    }

    /// What tools that Anthropic ran have left behind is history: the texts around it tell what came of it. What a
    /// user sends in a form that nobody knows is not.
    fn unknown(&self, kind: &str, at: &Path<'_>, losses: &mut Vec<Loss>) {
        if kind == "container_upload" {
            losses.push(Loss::meaning(
                at.to_string(),
                "files are uploaded into Anthropic's containers only; send the file's content in the message.",
            ));
        } else if self.role == Role::Assistant || is_hosted_history(kind) {
            at.lost(losses);
        } else {
            losses.push(Loss::meaning(
                at.to_string(),
                format!(
                    "content of the type '{kind}' cannot be carried to this model; send it as text."
                ),
            ));
        }
    }

    fn text(
        &mut self,
        block: Block<'a>,
        cache: Option<CacheMark>,
        at: &Path<'_>,
    ) -> Result<(), Fault> {
        let Some(Str(text)) = block.text else {
            return Err(missing(format!("{at}.text")));
        };
        let citations = match block.citations {
            Some(raw) if raw.get().starts_with('[') => {
                let forms: Vec<citation::Form<'a>> = Path::Field(at, "citations").read(raw)?;
                forms.into_iter().map(citation::read).collect()
            }
            Some(_) | None => Vec::<Citation<'a>>::new(),
        };
        self.push(
            PartKind::Text {
                text,
                citations,
                signature: None,
            },
            cache,
        );
        Ok(())
    }

    fn media(
        &mut self,
        known: Known,
        block: Block<'a>,
        cache: Option<CacheMark>,
        at: &Path<'_>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), Fault> {
        lost_citations(&block, at, losses)?;
        let Some(raw) = block.source else {
            return Err(missing(format!("{at}.source")));
        };
        let at = Path::Field(at, "source");
        let source: WrittenSource<'a> = at.read(raw)?;
        if let Some(Str(context)) = block.context
            && !context.is_empty()
        {
            self.all.push(Part::text(context));
        }
        let needed = |text: Option<Str<'a>>, name: &str| match text {
            Some(text) => Ok(text.0),
            None => Err(missing(format!("{at}.{name}"))),
        };
        let mut mime = source.media_type.map(|mime| mime.0);
        let data = match source.kind.as_deref() {
            Some("base64") => Source::Base64(needed(source.data, "data")?),
            Some("url") => Source::Url(needed(source.url, "url")?),
            Some("file") => Source::File(needed(source.file_id, "file_id")?),
            Some("text") => {
                mime = mime.or(Some(Text::Borrowed("text/plain")));
                Source::Plain(needed(source.data, "data")?)
            }
            Some("content") => {
                let Some(content) = source.content else {
                    return Err(missing(format!("{at}.content")));
                };
                if let Some(Str(title)) = block.title
                    && !title.is_empty()
                {
                    self.all.push(Part::text(title));
                }
                return self.flat(content, cache, &Path::Field(&at, "content"), losses);
            }
            Some(other) => {
                return Err(Path::Field(&at, "type").wrong(&format!("'{other}' is not known")));
            }
            None => return Err(missing(format!("{at}.type"))),
        };
        let media = Media {
            kind: if known == Known::Image {
                MediaKind::Image
            } else {
                MediaKind::Document
            },
            mime,
            source: data,
            name: block.title.map(|title| title.0),
            detail: None,
            transcript: None,
        };
        self.push(PartKind::Media(media), cache);
        Ok(())
    }

    /// A document that is made of blocks becomes those blocks.
    fn flat(
        &mut self,
        content: Content<'a, Block<'a>>,
        cache: Option<CacheMark>,
        at: &Path<'_>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), Fault> {
        self.content(content, at, losses)?;
        if let Some(last) = self.all.last_mut() {
            last.cache = cache.or(last.cache);
        }
        Ok(())
    }

    fn search_result(
        &mut self,
        block: Block<'a>,
        cache: Option<CacheMark>,
        at: &Path<'_>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), Fault> {
        lost_citations(&block, at, losses)?;
        let mut text = String::new();
        let source: Option<Str<'a>> = match block.source {
            Some(raw) => Some(Path::Field(at, "source").read(raw)?),
            None => None,
        };
        for head in [block.title, source].into_iter().flatten() {
            text.push_str(&head);
            text.push('\n');
        }
        if let Some(raw) = block.content {
            let content: Vec<Block<'a>> = Path::Field(at, "content").read(raw)?;
            for inner in content.into_iter().filter_map(|block| block.text) {
                text.push('\n');
                text.push_str(&inner);
            }
        }
        let mut part = Part::text(text);
        part.cache = cache;
        self.all.push(part);
        Ok(())
    }

    fn tool_use(
        &mut self,
        block: Block<'a>,
        cache: Option<CacheMark>,
        at: &Path<'_>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), Fault> {
        let id = block.id.filter(|id| !id.is_empty());
        let (Some(Str(id)), Some(Str(name))) = (id, block.name) else {
            return Err(missing(format!("{at}.id and {at}.name")));
        };
        if block
            .caller
            .is_some_and(|caller| !caller.get().contains("\"direct\""))
        {
            Path::Field(at, "caller").lost(losses);
        }
        let call = ToolCall {
            id,
            name,
            arguments: Text::Borrowed(block.input.map_or("{}", |input| input.get())),
            custom: false,
            signature: self.signature.take(),
        };
        self.push(PartKind::ToolCall(call), cache);
        Ok(())
    }

    fn tool_result(
        &mut self,
        block: Block<'a>,
        cache: Option<CacheMark>,
        at: &Path<'_>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), Fault> {
        let Some(Str(call_id)) = block.tool_use_id else {
            return Err(missing(format!("{at}.tool_use_id")));
        };
        let mut content = Parts::new(Role::User);
        if let Some(raw) = block.content {
            let at = Path::Field(at, "content");
            content.content(at.read(raw)?, &at, losses)?;
        }
        let result = ToolResult {
            call_id,
            name: None,
            content: content.finish(),
            json: None,
            is_error: block.is_error.unwrap_or(false),
        };
        self.push(PartKind::ToolResult(result), cache);
        Ok(())
    }

    fn thinking(&mut self, block: Block<'a>) {
        let text = block.thinking.unwrap_or_default().0;
        let written = block.signature.unwrap_or_default().0;
        let (owner, mut signature) = thought::read(&text, written);
        match owner {
            Owner::Next => {
                if !text.is_empty() {
                    let thought = Reasoning {
                        text,
                        ..Reasoning::default()
                    };
                    self.push(PartKind::Reasoning(thought), None);
                }
                self.signature = signature;
                return;
            }
            Owner::Before => {
                if let (Some(last), Some(of_last)) = (self.all.last_mut(), signature.take()) {
                    signature = thought::sign(&mut last.kind, of_last).err();
                }
                if let Some(of_nothing) = signature {
                    self.push(
                        PartKind::Text {
                            text: Text::default(),
                            citations: Vec::new(),
                            signature: Some(of_nothing),
                        },
                        None,
                    );
                }
                return;
            }
            Owner::Thought => {}
        }
        self.push(
            PartKind::Reasoning(Reasoning {
                text,
                signature,
                redacted: false,
                summary: false,
            }),
            None,
        );
    }

    /// What Anthropic made of the conversation before it: a summary, which others can read as well.
    fn compaction(
        &mut self,
        block: &Block<'a>,
        cache: Option<CacheMark>,
        at: &Path<'_>,
        losses: &mut Vec<Loss>,
    ) {
        if block.encrypted_content.is_some() {
            Path::Field(at, "encrypted_content").lost(losses);
        }
        let summary: Option<Str<'a>> = block
            .content
            .and_then(|raw| serde_json::from_str(raw.get()).ok());
        if let Some(Str(summary)) = summary {
            let mut part = Part::text(summary);
            part.cache = cache;
            self.all.push(part);
        }
    }
}

/// Citing is only asked of Anthropic: others answer the same, without.
fn lost_citations(block: &Block<'_>, at: &Path<'_>, losses: &mut Vec<Loss>) -> Result<(), Fault> {
    if let Some(raw) = block.citations {
        let at = Path::Field(at, "citations");
        let cited: Cited<'_> = at.read(raw)?;
        if cited.enabled == Some(true) {
            at.lost(losses);
        }
    }
    Ok(())
}

/// Blocks that stand for something in the canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Text,
    Image,
    Document,
    SearchResult,
    ToolUse,
    ToolResult,
    Thinking,
    RedactedThinking,
    Compaction,
}

impl Known {
    fn of(kind: &str) -> Option<Self> {
        Some(match kind {
            "text" => Self::Text,
            "image" => Self::Image,
            "document" => Self::Document,
            "search_result" => Self::SearchResult,
            "tool_use" => Self::ToolUse,
            "tool_result" => Self::ToolResult,
            "thinking" => Self::Thinking,
            "redacted_thinking" => Self::RedactedThinking,
            "compaction" => Self::Compaction,
            _ => return None,
        })
    }
}

/// Calls and results of tools that ran at Anthropic's; all of the latter end alike.
fn is_hosted_history(kind: &str) -> bool {
    kind.ends_with("tool_use") || kind.ends_with("tool_result") || kind == "tool_reference"
}
