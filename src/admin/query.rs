//! Parameters of a query. A parameter that is not known, or stands twice, is an error: a misspelt filter would answer
//! another question than the one that was asked.

use std::str::FromStr;

use percent_encoding::percent_decode_str;

use super::reply::Refusal;

/// The parameters that have not been taken yet.
pub struct Query(Vec<(String, String)>);

fn decode(text: &str) -> Result<String, Refusal> {
    decode_segment(&text.replace('+', " "))
}

/// A segment of a path, where a plus is a plus.
pub fn decode_segment(text: &str) -> Result<String, Refusal> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| wrong("the path or the query is not UTF-8"))
}

fn wrong(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "invalid_request", message)
}

impl Query {
    pub fn parse(query: &str) -> Result<Self, Refusal> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let decoded = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        });
        decoded.collect::<Result<_, Refusal>>().map(Self)
    }

    /// All values of a parameter that may be repeated.
    pub fn all(&mut self, name: &str) -> Result<Vec<String>, Refusal> {
        let (taken, rest) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(known, _)| known == name);
        self.0 = rest;
        let taken: Vec<String> = taken.into_iter().map(|(_, value)| value).collect();
        if taken.len() > super::form::LIST {
            return Err(wrong(format!(
                "{name} stands more than {} times",
                super::form::LIST
            ))
            .at(name));
        }
        if taken.iter().any(|value| value.contains(char::is_control)) {
            return Err(wrong("must not hold control characters").at(name));
        }
        Ok(taken)
    }

    pub fn one(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        let mut all = self.all(name)?;
        if all.len() > 1 {
            return Err(wrong(format!("{name} stands more than once")).at(name));
        }
        Ok(all.pop())
    }

    /// One value, in its own form.
    pub fn read<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Refusal> {
        let Some(text) = self.one(name)? else {
            return Ok(None);
        };
        parse(&text)
            .map(Some)
            .map_err(|message| wrong(message).at(name))
    }

    /// A whole number from 1 to `most`.
    pub fn limit(&mut self, most: u32, default: u32) -> Result<u32, Refusal> {
        let limit = self.read("limit", |text| {
            number(text)
                .filter(|limit| (1..=most).contains(limit))
                .ok_or_else(|| format!("must be a whole number from 1 to {most}"))
        })?;
        Ok(limit.unwrap_or(default))
    }

    /// Nothing else may stand there.
    pub fn end(self, known: &[&str]) -> Result<(), Refusal> {
        let Some((name, _)) = self.0.first() else {
            return Ok(());
        };
        let name: String = name.chars().take(64).collect();
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        Err(wrong(format!(
            "the parameter {name:?} is not known; known: {known}"
        ))
        .at(name))
    }
}

/// Digits only: `FromStr` would take a sign.
pub fn number<T: FromStr>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_taken_whole_or_refused() {
        let mut query = Query::parse("key=a%20b&key=c+d&limit=5&&x").expect("a query");
        assert_eq!(query.all("key").expect("keys"), ["a b", "c d"]);
        assert_eq!(query.limit(10, 1).expect("a limit"), 5);
        let refusal = query.end(&["key"]).expect_err("x is not known");
        assert_eq!((refusal.status, refusal.param.as_deref()), (400, Some("x")));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert!(Query::parse("a=%ff").is_err());
        let twice = Query::parse("since=1&since=2")
            .expect("a query")
            .one("since");
        assert!(twice.is_err());
        let control = Query::parse("key=%00").expect("a query").all("key");
        assert!(control.is_err());
        for limit in ["0", "11", "-1", "+1", "x", "", "99999999999999999999"] {
            let query = Query::parse(&format!("limit={}", limit.replace('+', "%2B")));
            assert!(query.expect("a query").limit(10, 1).is_err(), "{limit}");
        }
    }
}
