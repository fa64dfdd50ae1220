//! Keys that stand in the config, with what they are limited to.

use toml::de::DeValue;

use super::accounts::{Placed, name, quoted};
use super::reader::{Table, integer_of};
use super::sections::network;
use super::source::Report;
use super::{Group, Key};
use crate::base::clock::parse_rfc3339;
use crate::base::limits::{MAX_COUNT, MAX_USD};
use crate::base::{Limits, Usd};

pub fn keys(root: &mut Table<'_, '_>, groups: &Placed<Group>, report: &mut Report) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    for mut t in root.tables("keys", report) {
        let taken: Vec<&str> = keys.iter().map(|k| k.name.as_str()).collect();
        let (at, name) = name(&mut t, &taken, report);
        if let Some(key) = key(&mut t, name, groups, report) {
            let is_known = !key.secret.expose().is_empty();
            if is_known && keys.iter().any(|other| other.secret == key.secret) {
                report.mistake(at, format!("{}: another key has the same secret", t.path));
            }
            keys.push(key);
        }
        t.finish(report);
    }
    keys
}

fn key(
    t: &mut Table<'_, '_>,
    name: String,
    groups: &Placed<Group>,
    report: &mut Report,
) -> Option<Key> {
    let group = t.required("group", report).and_then(|(group, at)| {
        let index = groups.iter().position(|(_, g)| g.name == group);
        if index.is_none() {
            let defined = quoted(groups.iter().map(|(_, g)| g.name.as_str()));
            report.mistake(
                at,
                format!("key {name:?}: group {group:?} is not defined; defined: {defined}"),
            );
        }
        index
    });
    let at = t.at;
    let secret = t.secret("secret", report);
    if secret.is_none() && !t.named().iter().any(|(key, _, _)| key == "secret") {
        report.mistake(at, format!("{}.secret is missing", t.path));
    }
    let net = "a network like \"10.0.0.0/8\" or an address";
    let models = t
        .list("models", "a model id or glob", report, |m| {
            (!m.is_empty()).then(|| m.to_owned())
        })
        .unwrap_or_default();
    let allow = t.list("allow", net, report, network).unwrap_or_default();
    let deny = t.list("deny", net, report, network).unwrap_or_default();
    let expires = t.parsed(
        "expires",
        "a time like \"2027-01-01T00:00:00Z\"",
        report,
        parse_rfc3339,
    );
    let enabled = t.boolean("enabled", true, report);
    let count = |t: &mut Table<'_, '_>, key: &'static str, report: &mut Report| {
        t.integer(key, 0, 0..MAX_COUNT + 1, report).cast_unsigned()
    };
    let limits = Limits {
        rpm: count(t, "rpm", report),
        rp5h: count(t, "rp5h", report),
        rpd: count(t, "rpd", report),
        rp7d: count(t, "rp7d", report),
        tpm: count(t, "tpm", report),
        max_in_flight: count(t, "max_in_flight", report),
        spend_usd: usd(t, "spend_usd", report),
        spend_usd_5h: usd(t, "spend_usd_5h", report),
        spend_usd_day: usd(t, "spend_usd_day", report),
        spend_usd_7d: usd(t, "spend_usd_7d", report),
        spend_usd_30d: usd(t, "spend_usd_30d", report),
    };
    Some(Key {
        name,
        group: group?,
        secret: secret?,
        enabled,
        models,
        allow,
        deny,
        expires,
        limits,
    })
}

/// An amount of money, read from its digits.
fn usd(t: &mut Table<'_, '_>, key: &'static str, report: &mut Report) -> Usd {
    let Some(item) = t.take(key) else {
        return Usd::ZERO;
    };
    let amount = match item.get_ref() {
        DeValue::Float(number) => Usd::parse(&number.as_str().replace('_', "")),
        value => integer_of(value).and_then(|number| Usd::parse(&number.to_string())),
    };
    amount
        .filter(|amount| *amount <= MAX_USD)
        .unwrap_or_else(|| {
            report.mistake(
                item.span().start,
                format!(
                    "{}.{key} must be an amount in USD from 0 (none) to 1000000000, like 12.5",
                    t.path
                ),
            );
            Usd::ZERO
        })
}
