//! What stands in for an operation that a platform does not have.

use crate::dialect::Operation;

/// How an operation is served by a platform that does not have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counterpart {
    /// By this one of its own.
    Operation(Operation),
    /// Here, without asking anybody.
    Local,
}

/// What stands in for `operation` on a platform that serves the operations that `serves` names.
pub fn counterpart(
    operation: Operation,
    serves: impl Fn(Operation) -> bool,
) -> Option<Counterpart> {
    use Operation as Op;
    let any = |candidates: &[Op]| {
        candidates
            .iter()
            .copied()
            .find(|candidate| serves(*candidate))
            .map(Counterpart::Operation)
    };
    match operation {
        Op::Chat
        | Op::Responses
        | Op::Messages
        | Op::GenerateContent
        | Op::StreamGenerateContent => any(&[Op::Chat, Op::Messages, Op::GenerateContent]),
        Op::MessagesCountTokens => any(&[Op::CountTokens]).or(Some(Counterpart::Local)),
        Op::CountTokens => any(&[Op::MessagesCountTokens]).or(Some(Counterpart::Local)),
        Op::ResponsesInputTokens => {
            any(&[Op::MessagesCountTokens, Op::CountTokens]).or(Some(Counterpart::Local))
        }
        Op::Embeddings => any(&[Op::BatchEmbedContents]),
        Op::EmbedContent | Op::BatchEmbedContents => any(&[Op::Embeddings]),
        Op::ImagesGenerations => any(&[Op::GenerateContent]),
        Op::Completions
        | Op::ImagesEdits
        | Op::AudioSpeech
        | Op::AudioTranscriptions
        | Op::AudioTranslations
        | Op::Moderations
        | Op::Rerank
        | Op::ResponseGet
        | Op::ResponseDelete
        | Op::ResponseInputItems
        | Op::ResponseCancel
        | Op::ResponsesCompact
        | Op::Conversations
        | Op::ModelsList
        | Op::ModelGet => None,
    }
}
