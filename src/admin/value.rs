//! The values that an operator writes, in a body, a query or on the command line: each is checked where it is read, and
//! tells its own form in the API's document.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde_json::value::RawValue;
use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime};

use crate::base::limits::{MAX_COUNT, MAX_USD};
use crate::base::{Usd, clock};
use crate::config;

/// A name of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(pub String);
/// A model's id, or a glob of ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model(pub String);
/// A network, or one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Net(pub String);
/// A limit that is a number; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(pub u64);
/// A limit in US dollars; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount(pub Usd);
/// A time, in Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub i64);

/// Text of a filter, as its schema has it.
pub struct Plain;

const MODEL_CHARS: usize = 256;
/// The first and the last millisecond that RFC 3339 can write.
const FIRST_MS: i64 = -62_167_219_200_000;
const LAST_MS: i64 = 253_402_300_799_999;

fn printable(text: &str, most: usize) -> bool {
    !text.is_empty() && text.chars().count() <= most && !text.chars().any(char::is_control)
}

impl Name {
    pub fn parse(text: &str) -> Result<Self, String> {
        if !printable(text, 64) {
            return Err("a name has 1 to 64 printable characters".to_owned());
        }
        if text.starts_with("key_") || text.starts_with("config:") {
            return Err("a name must not begin with key_ or config:, as ids do".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

impl Model {
    pub fn parse(text: &str) -> Result<Self, String> {
        if printable(text, MODEL_CHARS) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "a model id or glob has 1 to {MODEL_CHARS} printable characters"
        ))
    }
}

impl Net {
    pub fn parse(text: &str) -> Result<Self, String> {
        let net = text.parse::<IpNet>().ok();
        let net = net.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        net.map(|net| Self(net.to_string())).ok_or_else(|| {
            "not a network: write one like \"10.0.0.0/8\", \"2001:db8::/32\" or an address"
                .to_owned()
        })
    }
}

impl Count {
    pub fn parse(text: &str) -> Result<Self, String> {
        let count = text.parse().ok().and_then(Self::checked);
        count.ok_or_else(|| Self::wanted().to_owned())
    }

    fn checked(number: i64) -> Option<Self> {
        let range = (0..=MAX_COUNT).contains(&number);
        range.then_some(Self(number.cast_unsigned()))
    }

    fn wanted() -> &'static str {
        "a whole number from 0 (none) to 1000000000000"
    }
}

impl Amount {
    /// Reads the digits. Those finer than a picodollar, which programs that count in binary fractions write, are
    /// rounded; an amount that would be rounded to none is refused.
    pub fn parse(text: &str) -> Result<Self, String> {
        let finer = || {
            let number: f64 = text.parse().ok()?;
            let near = number.is_finite() && (0.000_000_000_001..2e9).contains(&number);
            near.then(|| Usd::parse(&format!("{number:.12}")))?
        };
        Usd::parse(text)
            .or_else(finer)
            .filter(|amount| *amount <= MAX_USD)
            .map(Self)
            .ok_or_else(|| {
                "an amount in USD from 0 (none) to 1000000000, like 12.5, is wanted".to_owned()
            })
    }
}

impl Time {
    /// RFC 3339.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::rfc3339(text)
            .ok_or_else(|| "not a time: write one like \"2027-01-01T00:00:00Z\"".to_owned())
    }

    fn rfc3339(text: &str) -> Option<Self> {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let ms = at.unix_timestamp_nanos().div_euclid(1_000_000);
        Some(Self(i64::try_from(ms).ok()?.clamp(FIRST_MS, LAST_MS)))
    }

    /// A time, a date (its beginning in UTC), or how long before now: `24h`, `7d`.
    pub fn past(text: &str) -> Result<Self, String> {
        Self::relative(text, -1).ok_or_else(|| {
            "not a time: write one like \"2026-11-23T00:00:00Z\", \"2026-11-23\", or how long ago like \"24h\", \"7d\""
                .to_owned()
        })
    }

    /// The same, for what is to come.
    pub fn future(text: &str) -> Result<Self, String> {
        Self::relative(text, 1).ok_or_else(|| {
            "not a time: write one like \"2027-01-01T00:00:00Z\", \"2027-01-01\", or how long from now like \"30d\""
                .to_owned()
        })
    }

    fn relative(text: &str, direction: i64) -> Option<Self> {
        if let Some(time) = Self::rfc3339(text).or_else(|| date(text)) {
            return Some(time);
        }
        let span = i64::try_from(config::duration(text)?.as_millis()).ok()?;
        let now = clock::unix_ms().cast_signed();
        let at = now.saturating_add(span.saturating_mul(direction));
        Some(Self(at.clamp(FIRST_MS, LAST_MS)))
    }
}

/// `2026-11-23`, its beginning in UTC.
fn date(text: &str) -> Option<Time> {
    let format = time::macros::format_description!("[year]-[month]-[day]");
    let at = Date::parse(text, format).ok()?.midnight().assume_utc();
    Some(Time(
        at.unix_timestamp()
            .saturating_mul(1000)
            .clamp(FIRST_MS, LAST_MS),
    ))
}

/// `2026-11-22T14:39:09.123Z`
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = time::macros::format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        );
        let ms = self.0.clamp(FIRST_MS, LAST_MS);
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000);
        let text = at.ok().and_then(|at| at.format(format).ok());
        f.write_str(&text.unwrap_or_default())
    }
}

impl serde::Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads text, by a `parse` of its own.
macro_rules! reads_text {
    ($($value:ident),*) => {$(
        impl<'de> Deserialize<'de> for $value {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(de::Error::custom)
            }
        }
    )*};
}
reads_text!(Name, Model, Net, Time);

struct CountVisitor;

impl Visitor<'_> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Count::wanted())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Count, E> {
        Count::checked(number)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Count, E> {
        let count = i64::try_from(number).ok().and_then(Count::checked);
        count.ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(number), &self))
    }

    /// To JSON Schema, `5.0` is an integer.
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Count, E> {
        let whole = number.fract() == 0.0 && number.abs() <= MAX_COUNT as f64;
        let count = whole.then(|| Count::checked(number as i64)).flatten();
        count.ok_or_else(|| E::invalid_value(de::Unexpected::Float(number), &self))
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = Box::<RawValue>::deserialize(deserializer)?;
        Self::parse(digits.get()).map_err(de::Error::custom)
    }
}

/// Tells its form in place: a reference would only make the document longer.
macro_rules! told_as {
    ($value:ident, $schema:expr) => {
        impl JsonSchema for $value {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($value).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

/// Networks of which every text of this form is one; more spellings of IPv6 are taken.
const NET_PATTERN: &str = concat!(
    r"^((((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(/(3[0-2]|[12]?[0-9]))?)",
    r"|(([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?)",
    r"|(([0-9a-fA-F]{1,4}:){1,6}:(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?))$"
);

told_as!(
    Name,
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 64,
        "pattern": r"^(?!key_|config:)[^\u0000-\u001f\u007f-\u009f]+$",
    })
);
told_as!(
    Model,
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": MODEL_CHARS,
        "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$",
        "description": "A model's id, or a glob: o*-mini",
    })
);
told_as!(
    Net,
    json_schema!({
        "type": "string", "pattern": NET_PATTERN,
        "description": "A network in CIDR form, or one address; IPv4 or IPv6",
    })
);
told_as!(
    Count,
    json_schema!({
        "type": "integer", "minimum": 0, "maximum": MAX_COUNT, "description": "0: none",
    })
);
told_as!(
    Amount,
    json_schema!({
        "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": 1_000_000_000 },
            { "type": "number", "minimum": 0.000_000_001, "maximum": 1_000_000_000 },
        ],
        "description": "US dollars, exact to 12 decimals; 0: none",
    })
);
told_as!(
    Plain,
    json_schema!({
        "type": "string", "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$",
    })
);
told_as!(
    Time,
    json_schema!({ "type": "string", "format": "date-time" })
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_networks_are_checked() {
        for good in ["a", "Robert'); DROP TABLE keys;--", "ключ", &"x".repeat(64)] {
            assert!(Name::parse(good).is_ok(), "{good}");
        }
        for wrong in ["", "a\nb", "\u{0}", &"x".repeat(65), "key_1", "config:a"] {
            assert!(Name::parse(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(
            Net::parse("10.1.2.3").map(|n| n.0),
            Ok("10.1.2.3/32".to_owned())
        );
        assert!(Net::parse("2001:db8::/32").is_ok());
        for wrong in [
            "",
            "10.0.0.0/33",
            "300.1.1.1",
            "10.0.0/8",
            "example.org",
            "::/129",
        ] {
            assert!(Net::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits_are_read_by_their_digits_and_bounded() {
        let amount = |text: &str| Amount::parse(text).map(|amount| amount.0.to_string()).ok();
        assert_eq!(amount("12.5").as_deref(), Some("12.5"));
        assert_eq!(amount("0.000000000001").as_deref(), Some("0.000000000001"));
        assert_eq!(amount("1000000000").as_deref(), Some("1000000000"));
        // 0.1 + 0.2, as a program without decimals writes it.
        assert_eq!(amount("0.30000000000000004").as_deref(), Some("0.3"));
        for wrong in [
            "-1",
            "-0.5",
            "1000000000.1",
            "1e-13",
            "NaN",
            "inf",
            "\"5\"",
            "null",
            "1e400",
        ] {
            assert_eq!(amount(wrong), None, "{wrong}");
        }
        assert_eq!(Count::parse("5"), Ok(Count(5)));
        for wrong in [
            "-1",
            "1.5",
            "1000000000001",
            "99999999999999999999",
            "x",
            "",
        ] {
            assert!(Count::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(serde_json::from_str::<Count>("5.0").ok(), Some(Count(5)));
        for wrong in [
            "-1",
            "1.5",
            "1000000000001",
            "1e300",
            "\"5\"",
            "true",
            "null",
        ] {
            assert!(serde_json::from_str::<Count>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_absolute_or_relative() {
        let shown = |time: Result<Time, String>| time.map(|time| time.to_string()).ok();
        let date = shown(Time::past("2026-11-23"));
        assert_eq!(date.as_deref(), Some("2026-11-23T00:00:00.000Z"));
        let at = shown(Time::parse("2027-01-01T02:00:00.5+02:00"));
        assert_eq!(at.as_deref(), Some("2027-01-01T00:00:00.500Z"));
        let far = shown(Time::parse("9999-12-31T23:59:59-23:00"));
        assert_eq!(far.as_deref(), Some("9999-12-31T23:59:59.999Z"));
        let early = shown(Time::parse("0000-01-01T00:00:00+23:00"));
        assert_eq!(early.as_deref(), Some("0000-01-01T00:00:00.000Z"));
        let now = clock::unix_ms().cast_signed();
        let hour = 3_600_000;
        let (past, future) = (
            Time::past("1h").map(|t| t.0),
            Time::future("1h").map(|t| t.0),
        );
        assert!((now - hour..now).contains(&past.expect("a time")));
        assert!((now..=now + 2 * hour).contains(&future.expect("a time")));
        for wrong in [
            "",
            "yesterday",
            "2026-13-01",
            "5",
            "-5h",
            "2026-11-23T00:00:00",
        ] {
            assert!(Time::past(wrong).is_err(), "{wrong}");
        }
        assert!(Time::parse("2026-11-23").is_err());
    }
}
