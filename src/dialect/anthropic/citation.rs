//! Where a text comes from, as it stands in requests, answers and streams
//! (<https://docs.anthropic.com/en/docs/build-with-claude/citations>).

use super::json::{key, maybe_text_field, number_field, text_field};
use crate::chat::Citation;
use crate::wire::read::{Count, Lenient, Str, object};

object! {
    pub(super) struct Form<'a> {
        "type" => kind: Str<'a>,
        "url" => url: Str<'a>,
        "source" => source: Str<'a>,
        "title" => title: Str<'a>,
        "document_title" => document_title: Str<'a>,
        "cited_text" => cited_text: Str<'a>,
        "document_index" => document_index: Lenient<Count>,
        "start_char_index" => start_char: Lenient<Count>,
        "end_char_index" => end_char: Lenient<Count>,
        "start_page_number" => start_page: Lenient<Count>,
        "end_page_number" => end_page: Lenient<Count>,
        "start_block_index" => start_block: Lenient<Count>,
        "end_block_index" => end_block: Lenient<Count>,
    }
}

fn number(count: Option<Lenient<Count>>) -> Option<u64> {
    Some(count?.0?.0)
}

/// A search result is named by its source, which is an address more often than not.
pub(super) fn read(form: Form<'_>) -> Citation<'_> {
    let place = |kind, start, end: Option<Lenient<Count>>| {
        let start = number(start)?;
        Some((kind, start, number(end).unwrap_or(start)))
    };
    let place = match form.kind.as_deref() {
        Some("page_location") => place("page", form.start_page, form.end_page),
        Some("content_block_location" | "search_result_location") => {
            place("block", form.start_block, form.end_block)
        }
        _ => place("char", form.start_char, form.end_char),
    };
    Citation {
        url: form.url.or(form.source).map(|text| text.0),
        title: form.title.or(form.document_title).map(|text| text.0),
        quote: form.cited_text.map(|text| text.0),
        span: None,
        document: number(form.document_index),
        place,
    }
}

/// One citation of an answer. What has an address is a result of a search; what is a part of the request says so.
pub(super) fn write(out: &mut Vec<u8>, citation: &Citation<'_>) {
    out.push(b'{');
    let quote = citation.quote.as_deref().unwrap_or_default();
    match (citation.document, citation.place) {
        (Some(document), place) if citation.url.is_none() => {
            let (kind, from, to, (start, end)) = match place {
                Some(("page", start, end)) => (
                    "page_location",
                    "start_page_number",
                    "end_page_number",
                    (start, end),
                ),
                Some(("block", start, end)) => (
                    "content_block_location",
                    "start_block_index",
                    "end_block_index",
                    (start, end),
                ),
                Some((_, start, end)) => (
                    "char_location",
                    "start_char_index",
                    "end_char_index",
                    (start, end),
                ),
                None => (
                    "char_location",
                    "start_char_index",
                    "end_char_index",
                    (0, 0),
                ),
            };
            text_field(out, "type", kind);
            text_field(out, "cited_text", quote);
            number_field(out, "document_index", document);
            maybe_text_field(out, "document_title", citation.title.as_deref());
            number_field(out, from, start);
            number_field(out, to, end);
            key(out, "file_id");
            out.extend_from_slice(b"null");
        }
        (Some(_) | None, _) => {
            text_field(out, "type", "web_search_result_location");
            text_field(out, "url", citation.url.as_deref().unwrap_or_default());
            maybe_text_field(out, "title", citation.title.as_deref());
            text_field(out, "cited_text", quote);
            // Anthropic's own handle on the result; nobody else has one.
            text_field(out, "encrypted_index", "");
        }
    }
    out.push(b'}');
}
