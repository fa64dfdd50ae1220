//! Reading JSON into borrowed forms: texts without copies where they hold no escapes, content that is a text or a list,
//! numbers that some write as texts, and objects that know which of their fields nobody understood.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

/// A text, borrowed from the input where it holds no escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Str<'a>(pub Cow<'a, str>);

impl Deref for Str<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

struct StrVisitor;

impl<'de> Visitor<'de> for StrVisitor {
    type Value = Str<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Str<'de>, E> {
        Ok(Str(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Str<'de>, E> {
        Ok(Str(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Str<'de>, E> {
        Ok(Str(Cow::Owned(text)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(StrVisitor)
    }
}

/// A text, or a list of parts: most protocols take both.
#[derive(Clone, Debug)]
pub enum Content<'a, T> {
    Text(Cow<'a, str>),
    Many(Vec<T>),
}

struct ContentVisitor<'a, T>(PhantomData<(&'a (), T)>);

impl<'de: 'a, 'a, T: Deserialize<'de>> Visitor<'de> for ContentVisitor<'a, T> {
    type Value = Content<'a, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Content::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Content::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Content::Text(Cow::Owned(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(64));
        while let Some(one) = seq.next_element()? {
            all.push(one);
        }
        Ok(Content::Many(all))
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Content<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor(PhantomData))
    }
}

/// A list, or its only element without the brackets.
#[derive(Clone, Debug)]
pub struct List<T>(pub Vec<T>);

/// A whole number of at least 0, also written as a float (`5.0`) or a text (`"5"`, as JSON-mapped protocol buffers do).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(pub u64);

struct CountVisitor;

impl Visitor<'_> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number of at least 0")
    }

    fn visit_u64<E>(self, n: u64) -> Result<Count, E> {
        Ok(Count(n))
    }

    fn visit_i64<E: serde::de::Error>(self, n: i64) -> Result<Count, E> {
        u64::try_from(n)
            .map(Count)
            .map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(n), &self))
    }

    fn visit_f64<E: serde::de::Error>(self, n: f64) -> Result<Count, E> {
        if n >= 0.0 && n.fract() == 0.0 && n < 1e15 {
            Ok(Count(n as u64))
        } else {
            Err(E::invalid_value(serde::de::Unexpected::Float(n), &self))
        }
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Count, E> {
        text.parse()
            .map(Count)
            .map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

/// Whatever is written: `null`, a type that was not expected, an object. Used where a provider is known to be messy and
/// the field decides nothing.
#[derive(Clone, Debug)]
pub struct Lenient<T>(pub Option<T>);

/// Defines an object all of whose fields are optional (`null` counts as absent), with several spellings for each, and
/// with the names of fields that it does not know in `unknown`.
///
/// `object! { struct Message<'a> { "role" => role: Str<'a>, "toolCalls" | "tool_calls" => calls: Vec<Call<'a>> } }`
macro_rules! object {
    ($(#[$meta:meta])* $vis:vis struct $name:ident<$lt:lifetime> {
        $( $(#[$fmeta:meta])* $($key:literal)|+ => $field:ident : $ty:ty ),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default)]
        $vis struct $name<$lt> {
            $( $(#[$fmeta])* $vis $field: Option<$ty>, )*
            /// Fields that are none of these.
            $vis unknown: Vec<std::borrow::Cow<$lt, str>>,
        }

        impl<'de: $lt, $lt> serde::Deserialize<'de> for $name<$lt> {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields<$lt>(std::marker::PhantomData<&$lt ()>);

                impl<'de: $lt, $lt> serde::de::Visitor<'de> for Fields<$lt> {
                    type Value = $name<$lt>;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        mut map: A,
                    ) -> Result<Self::Value, A::Error> {
                        let mut out = $name::default();
                        while let Some(key) = map.next_key::<$crate::wire::read::Str<'de>>()? {
                            match &*key.0 {
                                $( $($key)|+ => out.$field = map.next_value::<Option<$ty>>()?, )*
                                _ => {
                                    map.next_value::<serde::de::IgnoredAny>()?;
                                    out.unknown.push(key.0);
                                }
                            }
                        }
                        Ok(out)
                    }
                }

                deserializer.deserialize_map(Fields(std::marker::PhantomData))
            }
        }
    };
}

pub(crate) use object;

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array or one element of it")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = seq.next_element()? {
                    all.push(one);
                }
                Ok(List(all))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                map: A,
            ) -> Result<Self::Value, A::Error> {
                let one = T::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(List(vec![one]))
            }

            fn visit_borrowed_str<E: serde::de::Error>(
                self,
                text: &'de str,
            ) -> Result<Self::Value, E> {
                let one = T::deserialize(serde::de::value::BorrowedStrDeserializer::new(text))?;
                Ok(List(vec![one]))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                let one = T::deserialize(serde::de::value::StrDeserializer::new(text))?;
                Ok(List(vec![one]))
            }
        }

        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&serde_json::value::RawValue>::deserialize(deserializer)?;
        // What is borrowed from the raw text lives as long as the input.
        Ok(Self(serde_json::from_str(raw.get()).ok()))
    }
}

/// Reads a whole body. The error says where the wrong value stands (`messages[2].content`) and what is wrong.
pub fn whole<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, (String, String)> {
    serde_json::from_slice(body).or_else(|_| {
        // Only a body that is wrong pays for knowing where.
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let path = error.path().to_string();
            let inner = error.into_inner().to_string();
            let what = inner
                .split(" at line ")
                .next()
                .unwrap_or_default()
                .to_owned();
            (path, what)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    object! {
        struct Sample<'a> {
            "name" => name: Str<'a>,
            "maxTokens" | "max_tokens" => max_tokens: Count,
            "content" => content: Content<'a, Sample<'a>>,
            "stop" => stop: List<Str<'a>>,
            "odd" => odd: Lenient<Count>,
        }
    }

    #[test]
    fn objects_know_their_fields_in_each_spelling_and_the_unknown_ones() {
        let sample: Sample<'_> = serde_json::from_str(
            r#"{"name":"a","max_tokens":"5","new":{"x":[1]},"content":[{"name":null,"content":"é\n"}],"stop":"x","odd":{}}"#,
        )
        .expect("valid");
        assert_eq!(sample.name.as_deref(), Some("a"));
        assert!(matches!(sample.name, Some(Str(Cow::Borrowed(_)))));
        assert_eq!(sample.max_tokens, Some(Count(5)));
        assert_eq!(sample.unknown, ["new"]);
        assert_eq!(sample.stop.map(|s| s.0), Some(vec![Str("x".into())]));
        assert!(matches!(sample.odd, Some(Lenient(None))));
        let Some(Content::Many(parts)) = sample.content else {
            panic!("no parts");
        };
        assert!(matches!(&parts[0].content, Some(Content::Text(t)) if t == "é\n"));
        assert!(parts[0].name.is_none());
    }

    #[test]
    fn a_wrong_type_is_told_with_its_place() {
        let (path, what) =
            whole::<Sample<'_>>(br#"{"content":[{},{"name":5}]}"#).expect_err("wrong");
        assert_eq!(path, "content[1].name");
        assert!(what.contains("expected a string"), "{what}");
        let (path, _) = whole::<Sample<'_>>(br#"{"max_tokens":-1}"#).expect_err("wrong");
        assert_eq!(path, "max_tokens");
    }
}
