//! What may be said of a key: the fields of a new one, and of a change. The admin API and the commands read the same.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};

use super::value::{Amount, Count, Model, Name, Net, Time};
use crate::base::Limits;
use crate::store::KeyRow;

/// More of them in a list are refused.
pub const LIST: usize = 256;

/// What is wrong with an input, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The field, as a path: `limits.rpm`, `allow[2]`.
    pub param: String,
    pub message: String,
}

impl Wrong {
    pub fn new(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            param: param.into(),
            message: message.into(),
        }
    }
}

/// Fields of a key. What is not sent stays as it is; null sets a field back to what it is where nothing is said.
#[derive(Clone, Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyChange {
    /// Unique among all keys.
    #[serde(default, deserialize_with = "sent")]
    #[schemars(with = "Name")]
    pub name: Option<Name>,
    /// A group that the config defines.
    #[serde(default, deserialize_with = "sent")]
    #[schemars(with = "String")]
    pub group: Option<String>,
    /// false: requests with this key are refused. Default: true.
    #[serde(default, deserialize_with = "sent")]
    #[schemars(with = "Option<bool>")]
    pub enabled: Option<Option<bool>>,
    /// Models that may be asked for; empty: all.
    #[serde(default, deserialize_with = "sent")]
    #[schemars(with = "Option<Vec<Model>>", length(max = 256))]
    pub models: Option<Option<Vec<Model>>>,
    /// Networks that requests may come from; empty: all.
    #[serde(default, deserialize_with = "sent")]
    #[schemars(with = "Option<Vec<Net>>", length(max = 256))]
    pub allow: Option<Option<Vec<Net>>>,
    /// Networks that requests may not come from.
    #[serde(default, deserialize_with = "sent")]
    #[schemars(with = "Option<Vec<Net>>", length(max = 256))]
    pub deny: Option<Option<Vec<Net>>>,
    /// When the key ends to be valid; null: never.
    #[serde(default, deserialize_with = "sent")]
    #[schemars(with = "Option<Time>")]
    pub expires: Option<Option<Time>>,
    /// What the key may use up; of these too only what is sent changes.
    #[serde(default, deserialize_with = "sent")]
    #[schemars(with = "Option<LimitsChange>")]
    pub limits: Option<Option<Object<LimitsChange>>>,
}

/// Limits of a key. Windows slide; null or 0: none.
#[derive(Clone, Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsChange {
    /// Requests a minute.
    #[serde(default, deserialize_with = "sent")]
    #[schemars(with = "Option<Count>")]
    pub rpm: Option<Option<Count>>,
    /// Requests in 5 hours.
    #[serde(default, deserialize_with = "sent")]
    #[schemars(with = "Option<Count>")]
    pub rp5h: Option<Option<Count>>,
    /// Requests in 24 hours.
    #[serde(default, deserialize_with = "sent")]
    #[schemars(with = "Option<Count>")]
    pub rpd: Option<Option<Count>>,
    /// Requests in 7 days.
    #[serde(default, deserialize_with = "sent")]
    #[schemars(with = "Option<Count>")]
    pub rp7d: Option<Option<Count>>,
    /// Tokens (input and output) a minute.
    #[serde(default, deserialize_with = "sent")]
    #[schemars(with = "Option<Count>")]
    pub tpm: Option<Option<Count>>,
    /// Requests under way at a time.
    #[serde(default, deserialize_with = "sent")]
    #[schemars(with = "Option<Count>")]
    pub max_in_flight: Option<Option<Count>>,
    /// Spend in all.
    #[serde(default, deserialize_with = "sent")]
    #[schemars(with = "Option<Amount>")]
    pub spend_usd: Option<Option<Amount>>,
    /// Spend in 5 hours.
    #[serde(default, deserialize_with = "sent")]
    #[schemars(with = "Option<Amount>")]
    pub spend_usd_5h: Option<Option<Amount>>,
    /// Spend in 24 hours.
    #[serde(default, deserialize_with = "sent")]
    #[schemars(with = "Option<Amount>")]
    pub spend_usd_day: Option<Option<Amount>>,
    /// Spend in 7 days.
    #[serde(default, deserialize_with = "sent")]
    #[schemars(with = "Option<Amount>")]
    pub spend_usd_7d: Option<Option<Amount>>,
    /// Spend in 30 days.
    #[serde(default, deserialize_with = "sent")]
    #[schemars(with = "Option<Amount>")]
    pub spend_usd_30d: Option<Option<Amount>>,
}

/// A field that was sent, maybe as null.
fn sent<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// A JSON object: serde would also read a list, in the order of the fields.
#[derive(Clone, Debug)]
pub struct Object<T>(pub T);

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

impl LimitsChange {
    pub fn apply(&self, limits: &mut Limits) {
        let count = |limit: &mut u64, said: Option<Option<Count>>| {
            if let Some(said) = said {
                *limit = said.map_or(0, |count| count.0);
            }
        };
        count(&mut limits.rpm, self.rpm);
        count(&mut limits.rp5h, self.rp5h);
        count(&mut limits.rpd, self.rpd);
        count(&mut limits.rp7d, self.rp7d);
        count(&mut limits.tpm, self.tpm);
        count(&mut limits.max_in_flight, self.max_in_flight);
        for (limit, said) in [
            (&mut limits.spend_usd, self.spend_usd),
            (&mut limits.spend_usd_5h, self.spend_usd_5h),
            (&mut limits.spend_usd_day, self.spend_usd_day),
            (&mut limits.spend_usd_7d, self.spend_usd_7d),
            (&mut limits.spend_usd_30d, self.spend_usd_30d),
        ] {
            if let Some(said) = said {
                *limit = said.map_or_else(Default::default, |amount| amount.0);
            }
        }
    }
}

impl KeyChange {
    /// Writes the change into a key. `groups`: those that are defined.
    pub fn apply(self, key: &mut KeyRow, groups: &[&str]) -> Result<(), Wrong> {
        if let Some(name) = self.name {
            key.name = name.0;
        }
        if let Some(group) = self.group {
            if !groups.contains(&group.as_str()) {
                return Err(unknown_group(&group, groups));
            }
            key.group = group;
        }
        if let Some(enabled) = self.enabled {
            key.enabled = enabled.unwrap_or(true);
        }
        let models = self.models.map(|list| texts(list, |model: Model| model.0));
        replace(&mut key.models, models, "models")?;
        let allow = self.allow.map(|list| texts(list, |net: Net| net.0));
        replace(&mut key.allow, allow, "allow")?;
        let deny = self.deny.map(|list| texts(list, |net: Net| net.0));
        replace(&mut key.deny, deny, "deny")?;
        if let Some(expires) = self.expires {
            key.expires = expires.map(|time| time.0);
        }
        match self.limits {
            Some(Some(limits)) => limits.0.apply(&mut key.limits),
            Some(None) => key.limits = Limits::default(),
            None => {}
        }
        Ok(())
    }

    /// Of a new key, name and group must be said.
    pub fn check_new(&self) -> Result<(), Wrong> {
        let missing = match (&self.name, &self.group) {
            (None, _) => "name",
            (_, None) => "group",
            _ => return Ok(()),
        };
        Err(Wrong::new(missing, format!("{missing} is missing")))
    }
}

fn unknown_group(group: &str, groups: &[&str]) -> Wrong {
    let defined: Vec<String> = groups.iter().map(|name| format!("{name:?}")).collect();
    let defined = defined.join(", ");
    let shown: String = group.chars().take(64).collect();
    let message = format!("group {shown:?} is not defined; defined: {defined}");
    Wrong::new("group", message)
}

fn texts<T>(list: Option<Vec<T>>, text: impl Fn(T) -> String) -> Vec<String> {
    list.unwrap_or_default().into_iter().map(text).collect()
}

fn replace(old: &mut Vec<String>, new: Option<Vec<String>>, param: &str) -> Result<(), Wrong> {
    let Some(new) = new else { return Ok(()) };
    if new.len() > LIST {
        return Err(Wrong::new(
            param,
            format!("has {} entries; it may have {LIST}", new.len()),
        ));
    }
    *old = new;
    Ok(())
}

/// The same fields, where name and group must be.
pub struct NewKey;

impl JsonSchema for NewKey {
    fn schema_name() -> Cow<'static, str> {
        "NewKey".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = KeyChange::json_schema(generator);
        schema.insert("required".to_owned(), serde_json::json!(["name", "group"]));
        schema
    }
}

/// Reads a body: one JSON object. A mistake names the field.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Mistake> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let read: Object<T> = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if inner.classify() == serde_json::error::Category::Data {
            let message = short(&inner.to_string());
            Mistake::Field(Wrong::new(path, message))
        } else {
            Mistake::Json(inner.to_string())
        }
    })?;
    deserializer
        .end()
        .map_err(|error| Mistake::Json(error.to_string()))?;
    Ok(read.0)
}

/// What is wrong with a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Mistake {
    /// It is no JSON.
    Json(String),
    Field(Wrong),
}

/// Without the place in the text, which the path tells better, and not longer than a person reads.
fn short(message: &str) -> String {
    let message = message
        .rsplit_once(" at line ")
        .map_or(message, |(what, _)| what);
    message.chars().take(300).collect()
}
