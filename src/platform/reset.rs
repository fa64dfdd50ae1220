//! How long a provider asks to be left alone, out of the headers of its refusal.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;

use crate::base::clock::parse_rfc3339;

/// No channel is left out for longer than this on a provider's word.
pub const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Pairs of headers: what is left, and when it comes back.
const RESETS: [(&str, &str); 8] = [
    (
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    (
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ),
    (
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ),
    (
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-reset",
    ),
    (
        "anthropic-ratelimit-output-tokens-remaining",
        "anthropic-ratelimit-output-tokens-reset",
    ),
    ("ratelimit-remaining", "ratelimit-reset"),
];

/// `retry-after-ms`, `retry-after` (seconds or a date), else the latest reset of a limit that is used
/// up. `None` when the headers say nothing.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let millis = text("retry-after-ms")
        .and_then(|value| value.parse::<f64>().ok())
        .and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok());
    let stated = millis.or_else(|| {
        let value = text("retry-after")?;
        match value.parse::<f64>() {
            Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
            Err(_) => httpdate::parse_http_date(value)
                .ok()
                .map(|at| at.duration_since(now).unwrap_or_default()),
        }
    });
    stated
        .or_else(|| {
            RESETS
                .iter()
                .filter(|(left, _)| text(left).is_none_or(|n| n == "0" || n.starts_with('-')))
                .filter_map(|(_, reset)| parse_reset(text(reset)?, now))
                .max()
        })
        .map(|wait| wait.min(LONGEST))
}

/// `1s`, `6m0s`, `20ms`; a date; seconds from now; or seconds or milliseconds since 1970.
fn parse_reset(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(number) = value.parse::<f64>() {
        let since_epoch = now.duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
        let seconds = if number > 1e11 {
            number / 1000.0 - since_epoch
        } else if number > 1e9 {
            number - since_epoch
        } else {
            number
        };
        return Duration::try_from_secs_f64(seconds.max(0.0)).ok();
    }
    if let Some(at) = parse_rfc3339(value) {
        return Some(at.duration_since(now).unwrap_or_default());
    }
    let mut total = 0.0;
    let mut rest = value;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_end = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        total += number
            * match &rest[..unit_end] {
                "ms" => 0.001,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                _ => return None,
            };
        rest = &rest[unit_end..];
    }
    Duration::try_from_secs_f64(total).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn wait(pairs: &[(&str, &str)]) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(
                HeaderName::from_bytes(name.as_bytes()).expect("a name"),
                value.parse().expect("a value"),
            );
        }
        retry_after(&headers, UNIX_EPOCH + Duration::from_secs(1_800_000_000))
    }

    #[test]
    fn all_spellings_are_understood() {
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(wait(&[("retry-after", "7")]), seconds(7));
        assert_eq!(
            wait(&[("retry-after-ms", "1500")]),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(
            wait(&[("retry-after", "Fri, 15 Jan 2027 08:00:30 GMT")]),
            seconds(30)
        );
        assert_eq!(
            wait(&[("x-ratelimit-reset-requests", "6m0s")]),
            seconds(360)
        );
        assert_eq!(
            wait(&[("x-ratelimit-reset-tokens", "20ms")]),
            Some(Duration::from_millis(20))
        );
        assert_eq!(
            wait(&[("anthropic-ratelimit-tokens-reset", "2027-01-15T08:00:05Z")]),
            seconds(5)
        );
        assert_eq!(wait(&[("x-ratelimit-reset", "1800000009000")]), seconds(9));
        assert_eq!(wait(&[("x-ratelimit-reset", "1800000009")]), seconds(9));
        assert_eq!(wait(&[("x-ratelimit-reset", "12")]), seconds(12));
        assert_eq!(wait(&[]), None);
        assert_eq!(wait(&[("retry-after", "soon")]), None);
        assert_eq!(wait(&[("retry-after", "99999999")]), Some(LONGEST));
    }

    #[test]
    fn only_limits_that_are_used_up_count() {
        assert_eq!(
            wait(&[
                ("x-ratelimit-remaining-requests", "9999"),
                ("x-ratelimit-reset-requests", "8h"),
                ("x-ratelimit-remaining-tokens", "0"),
                ("x-ratelimit-reset-tokens", "3s"),
            ]),
            Some(Duration::from_secs(3))
        );
    }
}
