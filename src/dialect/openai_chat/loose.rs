//! Values as providers write them, whatever the protocol says: a text that may be a number or an object, a number that
//! may be a text, content that may be a list. What cannot be understood counts as absent, and spoils nothing beside it.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::wire::read::object;

/// A text; numbers are taken as they print.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Loose<'a>(pub(super) Option<Cow<'a, str>>);

impl<'a> Loose<'a> {
    /// The text, if it is there and not empty.
    pub(super) fn filled(self) -> Option<Cow<'a, str>> {
        self.0.filter(|text| !text.is_empty())
    }
}

/// `None` of an absent or empty text.
pub(super) fn filled(loose: Option<Loose<'_>>) -> Option<Cow<'_, str>> {
    loose.and_then(Loose::filled)
}

fn drain<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<(), A::Error> {
    while seq.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

fn drain_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Loose<'de>, E> {
        Ok(Loose(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Loose<'de>, E> {
        Ok(Loose(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Loose<'de>, E> {
        Ok(Loose(Some(Cow::Owned(n.to_string()))))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Loose<'de>, E> {
        Ok(Loose(Some(Cow::Owned(n.to_string()))))
    }

    fn visit_f64<E>(self, n: f64) -> Result<Loose<'de>, E> {
        Ok(Loose(Some(Cow::Owned(n.to_string()))))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Loose<'de>, E> {
        Ok(Loose(None))
    }

    fn visit_unit<E>(self) -> Result<Loose<'de>, E> {
        Ok(Loose(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Loose<'de>, A::Error> {
        drain(seq).map(|()| Loose(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Loose<'de>, A::Error> {
        drain_map(map).map(|()| Loose(None))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Loose<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor)
    }
}

/// A whole number of at least 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LooseCount(pub(super) Option<u64>);

struct CountVisitor;

impl<'de> Visitor<'de> for CountVisitor {
    type Value = LooseCount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_u64<E>(self, n: u64) -> Result<LooseCount, E> {
        Ok(LooseCount(Some(n)))
    }

    fn visit_i64<E>(self, n: i64) -> Result<LooseCount, E> {
        Ok(LooseCount(u64::try_from(n).ok()))
    }

    fn visit_f64<E>(self, n: f64) -> Result<LooseCount, E> {
        Ok(LooseCount((0.0..1e15).contains(&n).then_some(n as u64)))
    }

    fn visit_str<E>(self, text: &str) -> Result<LooseCount, E> {
        Ok(LooseCount(text.parse().ok()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<LooseCount, E> {
        Ok(LooseCount(None))
    }

    fn visit_unit<E>(self) -> Result<LooseCount, E> {
        Ok(LooseCount(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<LooseCount, A::Error> {
        drain(seq).map(|()| LooseCount(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LooseCount, A::Error> {
        drain_map(map).map(|()| LooseCount(None))
    }
}

impl<'de> Deserialize<'de> for LooseCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

/// A list; anything else counts as an empty one, an object alone as its only element.
#[derive(Clone, Debug)]
pub(super) struct Items<T>(pub(super) Vec<T>);

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

struct ItemsVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ItemsVisitor<T> {
    type Value = Items<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Items<T>, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = seq.next_element::<Option<T>>()? {
            all.extend(one);
        }
        Ok(Items(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Items<T>, A::Error> {
        let one = T::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        Ok(Items(vec![one]))
    }

    fn visit_borrowed_str<E>(self, _: &'de str) -> Result<Items<T>, E> {
        Ok(Items::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Items<T>, E> {
        Ok(Items::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Items<T>, E> {
        Ok(Items::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Items<T>, E> {
        Ok(Items::default())
    }

    fn visit_unit<E>(self) -> Result<Items<T>, E> {
        Ok(Items::default())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Items<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemsVisitor(PhantomData))
    }
}

/// What a message says: a text, or pieces (Mistral).
#[derive(Clone, Debug, Default)]
pub(super) enum Said<'a> {
    #[default]
    Nothing,
    Text(Cow<'a, str>),
    Pieces(Vec<Piece<'a>>),
}

object! {
    /// A piece of content: `{"type":"text"}`, or `{"type":"thinking","thinking":[{"type":"text"}]}`
    /// (<https://docs.mistral.ai/capabilities/reasoning/>).
    pub(super) struct Piece<'a> {
        "text" => text: Loose<'a>,
        "thinking" => thinking: Said<'a>,
        "refusal" => refusal: Loose<'a>,
        "image_url" => image_url: Picture<'a>,
    }
}

object! {
    /// `image_url` of an answer's image.
    pub(super) struct Picture<'a> {
        "url" => url: Loose<'a>,
    }
}

struct SaidVisitor;

impl<'de> Visitor<'de> for SaidVisitor {
    type Value = Said<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Said<'de>, E> {
        Ok(Said::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Said<'de>, E> {
        Ok(Said::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Said<'de>, E> {
        Ok(Said::Nothing)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Said<'de>, E> {
        Ok(Said::Nothing)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Said<'de>, E> {
        Ok(Said::Nothing)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Said<'de>, E> {
        Ok(Said::Nothing)
    }

    fn visit_unit<E>(self) -> Result<Said<'de>, E> {
        Ok(Said::Nothing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Said<'de>, A::Error> {
        ItemsVisitor(PhantomData)
            .visit_seq(seq)
            .map(|items| Said::Pieces(items.0))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Said<'de>, A::Error> {
        ItemsVisitor(PhantomData)
            .visit_map(map)
            .map(|items| Said::Pieces(items.0))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Said<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SaidVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_counts_as_absent() {
        for (written, text, count) in [
            (r#""5""#, Some("5"), Some(5)),
            ("7", Some("7"), Some(7)),
            ("-1", Some("-1"), None),
            ("null", None, None),
            ("true", None, None),
            (r#"{"a":[1]}"#, None, None),
            (r#"[{"a":1}]"#, None, None),
        ] {
            let loose: Loose<'_> = serde_json::from_str(written).expect("anything goes");
            assert_eq!(loose.0.as_deref(), text, "{written}");
            let number: LooseCount = serde_json::from_str(written).expect("anything goes");
            assert_eq!(number.0, count, "{written}");
            let said: Said<'_> = serde_json::from_str(written).expect("anything goes");
            assert_eq!(matches!(said, Said::Text(_)), written.starts_with('"'));
        }
    }
}
