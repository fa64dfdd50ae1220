//! Values that are written as text: durations, sizes, addresses, URLs.

use std::time::Duration;

use super::BaseUrl;

/// `"5s"`, `"250ms"`, `"10m"`, `"1h"`, `"30d"`.
pub fn duration(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..split].parse().ok()?;
    let seconds = match &text[split..] {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

/// `"64MiB"`, `"512KiB"`, `"1GiB"`, `"1000B"`.
pub fn size(text: &str) -> Option<usize> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let number: usize = text[..split].parse().ok()?;
    let unit = match &text[split..] {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// `sqlite:PATH`, `sqlite::memory:`, `postgres://…`. The mistake never holds the URL, which may hold a password.
pub fn store_url(text: &str) -> Result<(), &'static str> {
    if let Some(path) = text.strip_prefix("sqlite:") {
        return match path.trim_start_matches('/') {
            "" => Err("has no path; write \"sqlite:/var/lib/torouter/torouter.db\""),
            _ if path.contains('?') => Err("must be \"sqlite:PATH\" without parameters"),
            _ if path.ends_with('/') => Err("must name a file, not a folder"),
            _ => Ok(()),
        };
    }
    let Some(rest) = text
        .strip_prefix("postgres://")
        .or_else(|| text.strip_prefix("postgresql://"))
    else {
        return Err("must begin with \"sqlite:\", \"postgres://\" or \"postgresql://\"");
    };
    let space = rest.contains(|c: char| c.is_whitespace() || c.is_control());
    if rest.is_empty() || space {
        return Err(
            "is not a PostgreSQL URL; write \"postgres://user:password@host:5432/database\" with special characters as %XX",
        );
    }
    Ok(())
}

/// `memory:` or `redis://…`; whether it is Redis. The mistake never holds the URL, which may hold a password.
pub fn limits_url(text: &str) -> Result<bool, &'static str> {
    if text == "memory:" {
        return Ok(false);
    }
    let rest = text
        .strip_prefix("redis://")
        .or_else(|| text.strip_prefix("rediss://"))
        .ok_or("must be \"memory:\" or begin with redis:// or rediss://")?;
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    if host.is_empty() || host.starts_with('/') {
        return Err("has no host; write \"redis://host:6379\"");
    }
    Ok(true)
}

/// `https://host[:port][/path]`, where `/path` may end in `/v1` or `/v1beta`.
pub fn base_url(text: &str) -> Result<BaseUrl, &'static str> {
    let uri: http::Uri = text.parse().map_err(|_| "is not a URL")?;
    let tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err("must begin with https:// or http://"),
    };
    let authority = uri.authority().ok_or("has no host")?;
    if authority.as_str().contains('@') {
        return Err("must not hold a user name or password; use api_key");
    }
    if uri.query().is_some() {
        return Err("must not have a query");
    }
    let host = authority.host();
    if host.is_empty() {
        return Err("has no host");
    }
    let path = uri.path().trim_end_matches('/');
    let path = path
        .strip_suffix("/v1beta")
        .or_else(|| path.strip_suffix("/v1"))
        .unwrap_or(path);
    Ok(BaseUrl {
        tls,
        host: host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned(),
        port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
        path: path.trim_end_matches('/').to_owned(),
        authority: authority.as_str().to_owned(),
    })
}

/// The word of `known` that `word` was probably meant to be.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|candidate| (distance(word, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, for words of a config.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_need_their_unit() {
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("10m"), Some(Duration::from_secs(600)));
        assert_eq!(duration("0s"), Some(Duration::ZERO));
        for wrong in ["", "5", "s", "5 s", "-1s", "1.5s", "99999999999999999999s"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
        assert_eq!(size("64MiB"), Some(64 << 20));
        assert_eq!(size("64MB"), None);
    }

    #[test]
    fn base_urls_end_before_the_version() {
        let url = base_url("https://openrouter.ai/api/v1/").expect("valid");
        assert_eq!((url.tls, url.port, url.path.as_str()), (true, 443, "/api"));
        let local = base_url("http://[::1]:9000").expect("valid");
        assert_eq!(
            (local.host.as_str(), local.port, local.path.as_str()),
            ("::1", 9000, "")
        );
        assert_eq!(base_url("https://h/v1beta").expect("valid").path, "");
        for wrong in [
            "api.openai.com",
            "ftp://h",
            "https://u:p@h",
            "https://h?x=1",
            "https://",
        ] {
            assert!(base_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn misspelt_words_are_recognised() {
        assert_eq!(
            nearest("platfrom", &["platform", "priority"]),
            Some("platform")
        );
        assert_eq!(nearest("zzz", &["platform", "priority"]), None);
    }
}
