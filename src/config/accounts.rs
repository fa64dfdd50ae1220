//! Channels and groups, and the names by which they refer to each other.

use std::sync::Arc;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::reader::{Table, integer_of, string_of};
use super::source::Report;
use super::{Catalog, Channel, Group, Health, Member, Timeouts, values};
use crate::dialect::Operation;
use crate::platform::{self, Platform};

/// Things with the offset at which their name stands.
pub(super) type Placed<T> = Vec<(usize, T)>;

/// Reads a name and sees that it is usable as a metric label, and its own.
pub(super) fn name(t: &mut Table<'_, '_>, taken: &[&str], report: &mut Report) -> (usize, String) {
    let Some((name, at)) = t.required("name", report) else {
        return (t.at, String::new());
    };
    if name.is_empty() || name.len() > 64 || name.chars().any(char::is_control) {
        report.mistake(
            at,
            format!("{}.name must be 1 to 64 printable characters", t.path),
        );
    } else if taken.contains(&name.as_str()) {
        report.mistake(
            at,
            format!(
                "{}.name: {name:?} is there already; names must differ",
                t.path
            ),
        );
    }
    (at, name)
}

pub(super) fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("{name:?}")).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// A table of strings, in which both sides are the user's.
fn string_map(
    t: &mut Table<'_, '_>,
    key: &'static str,
    report: &mut Report,
) -> Vec<(String, String)> {
    let Some(map) = t.table(key, report) else {
        return Vec::new();
    };
    let mut pairs = Vec::new();
    for (name, _, value) in map.named() {
        match string_of(value) {
            Some(text) if !text.is_empty() => pairs.push((name, text.to_owned())),
            _ => report.mistake(
                value.span().start,
                format!("{}.{name} must be a string that is not empty", map.path),
            ),
        }
    }
    pairs
}

pub fn channels(
    root: &mut Table<'_, '_>,
    catalog: &Arc<Catalog>,
    report: &mut Report,
) -> Placed<Channel> {
    let mut channels: Placed<Channel> = Vec::new();
    for mut t in root.tables("channels", report) {
        let taken: Vec<&str> = channels.iter().map(|(_, c)| c.name.as_str()).collect();
        let (at, name) = name(&mut t, &taken, report);
        if let Some(channel) = channel(&mut t, name, catalog, report) {
            channels.push((at, channel));
        }
        t.finish(report);
    }
    if channels.is_empty() && !report.has_mistakes() {
        report.mistake(
            0,
            "there is no [[channels]]: add one, with name, platform and api_key",
        );
    }
    channels
}

fn channel(
    t: &mut Table<'_, '_>,
    name: String,
    catalog: &Arc<Catalog>,
    report: &mut Report,
) -> Option<Channel> {
    let platform = t.required("platform", report).and_then(|(word, at)| {
        let platform = platform::by_name(&word);
        if platform.is_none() {
            let names = quoted(platform::names().into_iter());
            report.mistake(
                at,
                format!("{}.platform: {word:?} is not known; known: {names}", t.path),
            );
        }
        platform
    });
    let base = base_url(t, platform, report);
    let channel = Channel {
        catalog: catalog.clone(),
        api_key: t.secret("api_key", report),
        models: t
            .list("models", "a model id or glob", report, |m| {
                (!m.is_empty()).then(|| m.to_owned())
            })
            .unwrap_or_else(|| vec!["*".to_owned()]),
        model_map: model_map(t, report),
        priority: t.integer("priority", 0, -1_000_000..1_000_001, report),
        weight: t.integer("weight", 1, 1..1_000_001, report) as u32,
        max_in_flight: t.integer("max_in_flight", 0, 0..1_000_001, report) as u32,
        timeouts: timeouts(t, report),
        headers: headers(t, report),
        ask_usage: t.boolean("ask_usage", true, report),
        fetch_media: t.boolean("fetch_media", false, report),
        responses_only: responses_only(t, platform, report),
        health: health(t, report),
        name,
        platform: platform.unwrap_or(platform::by_name("openai")?),
        base: base.unwrap_or_else(|| super::BaseUrl {
            tls: false,
            host: String::new(),
            port: 0,
            path: String::new(),
            authority: String::new(),
        }),
    };
    Some(channel)
}

/// A mapped id may stand in a path.
fn model_map(t: &mut Table<'_, '_>, report: &mut Report) -> Vec<(String, String)> {
    let at = t.at;
    let map = string_map(t, "model_map", report);
    for (from, to) in &map {
        let fits =
            |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '%' | '"' | '<' | '>');
        if !to.chars().all(fits) {
            report.mistake(
                at,
                format!("{}.model_map: {from:?} = {to:?} is no model id", t.path),
            );
        }
    }
    map
}

/// Models that only `/v1/responses` has; without the setting those that the platform is known for.
fn responses_only(
    t: &mut Table<'_, '_>,
    platform: Option<&'static Platform>,
    report: &mut Report,
) -> Vec<String> {
    let at = t.at;
    let written = t.list("responses_only", "a model id or glob", report, |m| {
        (!m.is_empty()).then(|| m.to_owned())
    });
    match (written, platform) {
        (Some(globs), Some(platform))
            if !globs.is_empty() && !(platform.serves)(Operation::Responses) =>
        {
            report.mistake(
                at,
                format!(
                    "{}.responses_only: platform {:?} has no /v1/responses; leave it out",
                    t.path, platform.name
                ),
            );
            Vec::new()
        }
        (Some(globs), _) => globs,
        (None, Some(platform)) => platform
            .responses_only
            .iter()
            .map(|&glob| glob.to_owned())
            .collect(),
        (None, None) => Vec::new(),
    }
}

fn base_url(
    t: &mut Table<'_, '_>,
    platform: Option<&'static Platform>,
    report: &mut Report,
) -> Option<super::BaseUrl> {
    let written = t.string("base_url", report);
    let (text, at) = match (written, platform) {
        (Some(written), _) => written,
        (None, Some(platform)) => match platform.base_url {
            Some(url) => (url.to_owned(), t.at),
            None => {
                report.mistake(
                    t.at,
                    format!(
                        "{}.base_url is missing; platform {:?} has no default",
                        t.path, platform.name
                    ),
                );
                return None;
            }
        },
        (None, None) => return None,
    };
    match values::base_url(&text) {
        Ok(url) => Some(url),
        Err(what) => {
            report.mistake(at, format!("{}.base_url: {text:?} {what}", t.path));
            None
        }
    }
}

fn timeouts(t: &mut Table<'_, '_>, report: &mut Report) -> Timeouts {
    let mut timeouts = Timeouts {
        connect: Duration::from_secs(5),
        first_byte: Duration::from_secs(60),
        idle: Duration::from_secs(120),
        total: Duration::from_secs(1800),
    };
    if let Some(mut t) = t.table("timeouts", report) {
        timeouts.connect = t.duration("connect", timeouts.connect, report);
        timeouts.first_byte = t.duration("first_byte", timeouts.first_byte, report);
        timeouts.idle = t.duration("idle", timeouts.idle, report);
        timeouts.total = t.duration("total", timeouts.total, report);
        let at = t.at;
        t.finish(report);
        let all = [
            timeouts.connect,
            timeouts.first_byte,
            timeouts.idle,
            timeouts.total,
        ];
        if all.iter().any(Duration::is_zero) {
            report.mistake(at, "timeouts must be longer than 0");
        }
    }
    timeouts
}

fn headers(
    t: &mut Table<'_, '_>,
    report: &mut Report,
) -> Vec<(http::HeaderName, http::HeaderValue)> {
    let Some(map) = t.table("headers", report) else {
        return Vec::new();
    };
    let mut headers = Vec::new();
    for (name, at, value) in map.named() {
        let parsed = name
            .parse::<http::HeaderName>()
            .ok()
            .zip(string_of(value).and_then(|text| http::HeaderValue::from_str(text).ok()));
        match parsed {
            Some(pair) => headers.push(pair),
            None => report.mistake(
                at,
                format!(
                    "{}: {name:?} and its value must be an HTTP header",
                    map.path
                ),
            ),
        }
    }
    headers
}

fn health(t: &mut Table<'_, '_>, report: &mut Report) -> Health {
    let mut health = Health {
        path: None,
        interval: Duration::from_secs(15),
        timeout: Duration::from_secs(5),
        healthy: 1,
        unhealthy: 3,
        expect: vec![200],
    };
    let Some(mut t) = t.table("health", report) else {
        return health;
    };
    health.path = t.parsed("path", "a path that begins with '/'", report, |path| {
        path.starts_with('/').then(|| path.to_owned())
    });
    health.interval = t.duration("interval", health.interval, report);
    health.timeout = t.duration("timeout", health.timeout, report);
    health.healthy = t.integer("healthy", 1, 1..101, report) as usize;
    health.unhealthy = t.integer("unhealthy", 3, 1..101, report) as usize;
    if health.interval.is_zero() || health.timeout.is_zero() {
        report.mistake(
            t.at,
            format!("{}: interval and timeout must be longer than 0", t.path),
        );
    }
    if let Some(item) = t.take("expect") {
        let statuses = match item.get_ref() {
            DeValue::Array(array) => array
                .iter()
                .map(|n| integer_of(n.get_ref()).and_then(|n| u16::try_from(n).ok()))
                .collect::<Option<Vec<u16>>>(),
            _ => None,
        };
        match statuses {
            Some(statuses) if !statuses.is_empty() => health.expect = statuses,
            _ => report.mistake(
                item.span().start,
                format!("{}.expect must be an array of statuses like [200]", t.path),
            ),
        }
    }
    t.finish(report);
    health
}

pub fn groups(
    root: &mut Table<'_, '_>,
    channels: &Placed<Channel>,
    report: &mut Report,
) -> Placed<Group> {
    let mut groups: Placed<Group> = Vec::new();
    for mut t in root.tables("groups", report) {
        let taken: Vec<&str> = groups.iter().map(|(_, g)| g.name.as_str()).collect();
        let (at, name) = name(&mut t, &taken, report);
        let group = Group {
            channels: members(&mut t, &name, channels, report),
            aliases: string_map(&mut t, "aliases", report),
            max_attempts: t.integer("max_attempts", 3, 1..65, report) as u32,
            name,
        };
        t.finish(report);
        groups.push((at, group));
    }
    groups
}

fn members(
    t: &mut Table<'_, '_>,
    group: &str,
    channels: &Placed<Channel>,
    report: &mut Report,
) -> Vec<Member> {
    let Some(item) = t.take("channels") else {
        report.mistake(t.at, format!("{}.channels is missing", t.path));
        return Vec::new();
    };
    let DeValue::Array(array) = item.get_ref() else {
        report.mistake(
            item.span().start,
            format!("{}.channels must be an array", t.path),
        );
        return Vec::new();
    };
    let mut members: Vec<Member> = Vec::new();
    for element in array {
        let at = element.span().start;
        let empty = DeTable::new();
        let (name, mut table) = match element.get_ref() {
            DeValue::String(name) => (Some(name.to_string()), Table::new(&empty, "", at)),
            DeValue::Table(entries) => {
                let mut table = Table::new(entries, format!("{}.channels[]", t.path), at);
                (table.required("name", report).map(|(name, _)| name), table)
            }
            _ => {
                report.mistake(
                    at,
                    format!("{}.channels must hold names or {{ name = … }}", t.path),
                );
                continue;
            }
        };
        let Some(name) = name else { continue };
        let Some(index) = channels.iter().position(|(_, c)| c.name == name) else {
            let defined = quoted(channels.iter().map(|(_, c)| c.name.as_str()));
            report.mistake(
                at,
                format!("group {group:?}: channel {name:?} is not defined; defined: {defined}"),
            );
            continue;
        };
        let channel = &channels[index].1;
        let (priority, weight) = (channel.priority, i64::from(channel.weight));
        if members.iter().any(|m| m.channel == index) {
            report.mistake(
                at,
                format!("group {group:?}: channel {name:?} stands twice"),
            );
        }
        members.push(Member {
            channel: index,
            priority: table.integer("priority", priority, -1_000_000..1_000_001, report),
            weight: table.integer("weight", weight, 1..1_000_001, report) as u32,
        });
        table.finish(report);
    }
    if array.is_empty() {
        report.mistake(
            item.span().start,
            format!("group {group:?} has no channels"),
        );
    }
    members
}
