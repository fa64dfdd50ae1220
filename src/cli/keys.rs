//! `torouter keys`: the keys of the store, from the command line. What may be said of a key is read as the admin API
//! reads it; a change holds for the next request when the command returns.

use std::fmt::Write as _;

use clap::Subcommand;
use serde::Serialize;

use super::store::{KEYS_WAIT, Opened, block_on, open};
use super::table::{Look, Table, plain};
use super::{ConfigOption, Failed, out};
use crate::admin::form::{KeyChange, LimitsChange, Object};
use crate::admin::keys::{self, KeyView, LimitsView, Source};
use crate::admin::value::{Amount, Count, Model, Name, Net, Time};
use crate::base::{Secret, Usd};
use crate::store::KeyRow;

#[derive(clap::Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a key; its secret is shown once
    Create(Box<Create>),
    /// List the keys of the store and of the config
    List(List),
    /// Show one key
    Show(Named),
    /// Change what is said of a key, and nothing else; 0 clears a limit
    Update(Box<Update>),
    /// Delete a key: its next request is refused
    Delete(Named),
}

#[derive(clap::Args)]
struct Output {
    #[command(flatten)]
    config: ConfigOption,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct List {
    /// Only keys of this group
    #[arg(long)]
    group: Option<String>,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
struct Named {
    /// Name or id of the key
    #[arg(value_name = "NAME|ID")]
    key: String,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
struct Create {
    /// Unique among all keys
    #[arg(long)]
    name: String,
    /// A group that the config defines
    #[arg(long)]
    group: String,
    /// Make it disabled
    #[arg(long)]
    disabled: bool,
    #[command(flatten)]
    fields: Fields,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
#[command(override_usage = "torouter keys update <NAME|ID> <CHANGE>…")]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true).args([
    "name", "group", "enable", "disable", "no_expires", "expires", "models", "allow", "deny", "rpm", "rp5h", "rpd",
    "rp7d", "tpm", "max_in_flight", "spend_usd", "spend_usd_5h", "spend_usd_day", "spend_usd_7d", "spend_usd_30d",
])))]
struct Update {
    /// Name or id of the key
    #[arg(value_name = "NAME|ID")]
    key: String,
    /// A new name
    #[arg(long)]
    name: Option<String>,
    /// A group that the config defines
    #[arg(long)]
    group: Option<String>,
    /// Let requests with it in
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    /// Refuse requests with it
    #[arg(long)]
    disable: bool,
    /// It no longer expires
    #[arg(long, conflicts_with = "expires")]
    no_expires: bool,
    #[command(flatten)]
    fields: Fields,
    #[command(flatten)]
    output: Output,
}

/// What is said alike of a new key and of a change. Values are checked later, so that a wrong one is a wrong input.
#[derive(clap::Args)]
#[command(next_help_heading = "Limits and conditions")]
struct Fields {
    /// Requests a minute
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    rpm: Option<String>,
    /// Requests in 5 hours
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    rp5h: Option<String>,
    /// Requests in 24 hours
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    rpd: Option<String>,
    /// Requests in 7 days
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    rp7d: Option<String>,
    /// Tokens a minute
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    tpm: Option<String>,
    /// Requests under way at a time
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    max_in_flight: Option<String>,
    /// Spend in all
    #[arg(long, value_name = "USD", allow_hyphen_values = true)]
    spend_usd: Option<String>,
    /// Spend in 5 hours
    #[arg(long = "spend-usd-5h", value_name = "USD", allow_hyphen_values = true)]
    spend_usd_5h: Option<String>,
    /// Spend in 24 hours
    #[arg(long, value_name = "USD", allow_hyphen_values = true)]
    spend_usd_day: Option<String>,
    /// Spend in 7 days
    #[arg(long = "spend-usd-7d", value_name = "USD", allow_hyphen_values = true)]
    spend_usd_7d: Option<String>,
    /// Spend in 30 days
    #[arg(long = "spend-usd-30d", value_name = "USD", allow_hyphen_values = true)]
    spend_usd_30d: Option<String>,
    /// Model ids or globs, by commas; empty: all
    #[arg(long, value_name = "MODELS")]
    models: Option<String>,
    /// Networks that requests may come from, by commas; empty: all
    #[arg(long, value_name = "CIDRS")]
    allow: Option<String>,
    /// Networks that requests may not come from, by commas
    #[arg(long, value_name = "CIDRS")]
    deny: Option<String>,
    /// When it ends to be valid: a time, a date, or how long from now like 30d
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
}

/// A value of a flag, in its own form.
fn read<T>(
    flag: &str,
    text: Option<&String>,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, Failed> {
    text.map(|text| parse(text).map_err(|what| Failed::Input(format!("--{flag} {text:?}: {what}"))))
        .transpose()
}

fn list<T>(
    flag: &str,
    text: Option<&String>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<Vec<T>>, Failed> {
    read(flag, text, |text| {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        // A word that is left out by mistake must not make a list empty that then allows everything.
        text.split(',').map(str::trim).map(parse).collect()
    })
}

impl Fields {
    fn change(&self) -> Result<KeyChange, Failed> {
        let count = |flag, text: &Option<String>| -> Result<_, Failed> {
            Ok(read(flag, text.as_ref(), Count::parse)?.map(Some))
        };
        let usd = |flag, text: &Option<String>| -> Result<_, Failed> {
            Ok(read(flag, text.as_ref(), Amount::parse)?.map(Some))
        };
        let limits = LimitsChange {
            rpm: count("rpm", &self.rpm)?,
            rp5h: count("rp5h", &self.rp5h)?,
            rpd: count("rpd", &self.rpd)?,
            rp7d: count("rp7d", &self.rp7d)?,
            tpm: count("tpm", &self.tpm)?,
            max_in_flight: count("max-in-flight", &self.max_in_flight)?,
            spend_usd: usd("spend-usd", &self.spend_usd)?,
            spend_usd_5h: usd("spend-usd-5h", &self.spend_usd_5h)?,
            spend_usd_day: usd("spend-usd-day", &self.spend_usd_day)?,
            spend_usd_7d: usd("spend-usd-7d", &self.spend_usd_7d)?,
            spend_usd_30d: usd("spend-usd-30d", &self.spend_usd_30d)?,
        };
        Ok(KeyChange {
            models: list("models", self.models.as_ref(), Model::parse)?.map(Some),
            allow: list("allow", self.allow.as_ref(), Net::parse)?.map(Some),
            deny: list("deny", self.deny.as_ref(), Net::parse)?.map(Some),
            expires: read("expires", self.expires.as_ref(), Time::future)?.map(Some),
            limits: Some(Some(Object(limits))),
            ..KeyChange::default()
        })
    }
}

pub fn run(options: Options) -> Result<(), Failed> {
    match options.command {
        Command::Create(options) => create(&options),
        Command::List(options) => show_all(&options),
        Command::Show(options) => show(&options),
        Command::Update(options) => update(&options),
        Command::Delete(options) => delete(&options),
    }
}

/// Opens the store of a config and runs a command's work on it.
fn with<T, F>(output: &Output, work: impl FnOnce(Opened) -> F) -> Result<T, Failed>
where
    F: Future<Output = Result<T, Failed>>,
{
    let opened = open(&output.config)?;
    block_on(work(opened))?
}

fn create(options: &Create) -> Result<(), Failed> {
    let mut fields = options.fields.change()?;
    fields.name = read("name", Some(&options.name), Name::parse)?;
    fields.group = Some(options.group.clone());
    fields.enabled = options.disabled.then_some(Some(false));
    let json = options.output.json;
    with(&options.output, |opened| async move {
        let server_secret = opened.server_secret().await?;
        let Opened { store, config } = &opened;
        let (key, secret) = keys::create(store, config, &server_secret, fields, "cli").await?;
        // Nobody can tell the secret later: it is written before anything else is waited for.
        let written = made(&KeyView::from(&key), &secret, json)
            .and_then(|text| super::write_out(&text).map_err(|error| error.to_string()));
        let result = match written {
            Ok(()) => Ok(()),
            Err(what) => Err(take_back(&opened, &key, &what).await),
        };
        opened.sync(KEYS_WAIT).await;
        result
    })
}

/// What is told of a new key: the only time with its secret.
fn made(key: &KeyView, secret: &Secret, json: bool) -> Result<String, String> {
    let secret = secret.expose();
    if json {
        #[derive(Serialize)]
        struct Made<'a> {
            key: &'a KeyView,
            secret: &'a str,
        }
        let text = serde_json::to_string(&Made { key, secret });
        return text
            .map(|text| text + "\n")
            .map_err(|error| error.to_string());
    }
    let key = described(key);
    Ok(format!(
        "{key}\nsecret     {secret}\n           shown only now: it is kept nowhere\n"
    ))
}

/// Deletes a new key whose secret nobody has seen.
async fn take_back(opened: &Opened, key: &KeyRow, what: &str) -> Failed {
    let KeyRow { id, name, .. } = key;
    let deleted = keys::delete(&opened.store, &opened.config, id, "cli").await;
    let after = match deleted {
        Ok(_) => format!("key {name:?} ({id}) is deleted again"),
        Err(refusal) => format!(
            "key {name:?} ({id}) is there and could not be deleted again ({}); delete it",
            refusal.message
        ),
    };
    Failed::Start(format!("the secret could not be written: {what}; {after}"))
}

fn show_all(options: &List) -> Result<(), Failed> {
    let mut all = with(&options.output, |opened| async move {
        Ok(keys::all(&opened.store, &opened.config).await?)
    })?;
    if let Some(group) = &options.group {
        all.retain(|key| key.group == *group);
    }
    if options.output.json {
        #[derive(Serialize)]
        struct Listed {
            keys: Vec<KeyView>,
        }
        return print_json(&Listed { keys: all });
    }
    out(&table(&all).write(Look::of_stdout()))
}

fn show(options: &Named) -> Result<(), Failed> {
    let name = options.key.clone();
    let key = with(&options.output, |opened| async move {
        Ok(keys::show(&opened.store, &opened.config, &name).await?)
    })?;
    tell(&key, &options.output)
}

fn update(options: &Update) -> Result<(), Failed> {
    let mut fields = options.fields.change()?;
    fields.name = read("name", options.name.as_ref(), Name::parse)?;
    fields.group = options.group.clone();
    fields.enabled = match (options.enable, options.disable) {
        (false, false) => None,
        (enable, _) => Some(Some(enable)),
    };
    if options.no_expires {
        fields.expires = Some(None);
    }
    let name = options.key.clone();
    let key = with(&options.output, |opened| async move {
        let Opened { store, config } = &opened;
        let key = keys::change(store, config, &name, fields, "cli").await?;
        opened.sync(KEYS_WAIT).await;
        Ok(key)
    })?;
    tell(&KeyView::from(&key), &options.output)
}

fn delete(options: &Named) -> Result<(), Failed> {
    let name = options.key.clone();
    let key = with(&options.output, |opened| async move {
        let key = keys::delete(&opened.store, &opened.config, &name, "cli").await?;
        opened.sync(KEYS_WAIT).await;
        Ok(key)
    })?;
    let key = KeyView::from(&key);
    if options.output.json {
        return tell(&key, &options.output);
    }
    out(&format!("deleted: {} ({})\n", plain(&key.name), key.id))
}

fn tell(key: &KeyView, output: &Output) -> Result<(), Failed> {
    if output.json {
        #[derive(Serialize)]
        struct Told<'a> {
            key: &'a KeyView,
        }
        return print_json(&Told { key });
    }
    out(&described(key))
}

pub fn print_json(value: &impl Serialize) -> Result<(), Failed> {
    let text = serde_json::to_string(value).map_err(|error| Failed::Start(error.to_string()))?;
    out(&(text + "\n"))
}

/// The limits that a key has, by their flags.
fn limits(limits: &LimitsView) -> Vec<(&'static str, String)> {
    let count = |limit: Option<u64>| limit.map(|limit| limit.to_string());
    let usd = |limit: Option<Usd>| limit.map(|limit| limit.to_string());
    let all = [
        ("rpm", count(limits.rpm)),
        ("rp5h", count(limits.rp5h)),
        ("rpd", count(limits.rpd)),
        ("rp7d", count(limits.rp7d)),
        ("tpm", count(limits.tpm)),
        ("max-in-flight", count(limits.max_in_flight)),
        ("spend-usd", usd(limits.spend_usd)),
        ("spend-usd-5h", usd(limits.spend_usd_5h)),
        ("spend-usd-day", usd(limits.spend_usd_day)),
        ("spend-usd-7d", usd(limits.spend_usd_7d)),
        ("spend-usd-30d", usd(limits.spend_usd_30d)),
    ];
    let set = all.into_iter();
    set.filter_map(|(name, limit)| Some((name, limit?)))
        .collect()
}

/// A key, a line a field; what is not set is left out.
fn described(key: &KeyView) -> String {
    let mut lines = vec![
        ("name", key.name.clone()),
        ("id", key.id.clone()),
        ("group", key.group.clone()),
        ("hint", key.hint.clone()),
        ("state", state(key)),
    ];
    for (name, list) in [
        ("models", &key.models),
        ("allow", &key.allow),
        ("deny", &key.deny),
    ] {
        if !list.is_empty() {
            lines.push((name, list.join(", ")));
        }
    }
    let expires = key.expires.map(|time| ("expires", time.to_string()));
    lines.extend(expires);
    let limits = limits(&key.limits);
    if !limits.is_empty() {
        lines.push(("limits", joined(&limits)));
    }
    let times = [("created", key.created), ("updated", key.updated)];
    let times = times.into_iter();
    lines.extend(times.filter_map(|(name, time)| Some((name, time?.to_string()))));
    let mut text = String::new();
    for (name, value) in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<9}  {}", plain(&value));
    }
    text
}

fn joined(limits: &[(&str, String)]) -> String {
    let limits = limits.iter().map(|(name, limit)| format!("{name} {limit}"));
    limits.collect::<Vec<_>>().join(", ")
}

fn state(key: &KeyView) -> String {
    let now = crate::base::clock::unix_ms().cast_signed();
    let state = match key.expires {
        _ if !key.enabled => "disabled",
        Some(time) if time.0 <= now => "expired",
        _ => "enabled",
    };
    match key.source {
        Source::Store => state.to_owned(),
        Source::Config => format!("{state}, in the config"),
    }
}

fn table(keys: &[KeyView]) -> Table {
    let head = ["name", "group", "state", "hint", "expires", "limits", "id"];
    let rows = keys.iter().map(|key| {
        vec![
            key.name.clone(),
            key.group.clone(),
            state(key),
            key.hint.clone(),
            key.expires
                .map_or_else(String::new, |time| time.to_string()),
            joined(&limits(&key.limits)),
            key.id.clone(),
        ]
    });
    Table {
        numbers: vec![false; head.len()],
        head: head.map(str::to_owned).to_vec(),
        rows: rows.collect(),
        total: None,
    }
}
