//! Keys over the admin API: those of the store, and beside them those of the config, which nobody changes here.

use schemars::JsonSchema;
use serde::Serialize;

use super::Api;
use super::form::{self, KeyChange};
use super::query::Query;
use super::reply::{Refusal, Reply};
use super::value::{Count, Plain, Time};
use crate::base::{Ids, Limits, Secret, Usd};
use crate::config::{self, Config};
use crate::gate::secret;
use crate::store::{KeyError, KeyRow, Store, StoreError};

/// How often a change is tried again that met another one.
const ATTEMPTS: usize = 5;

/// A key as it is told. Its secret is nowhere.
#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "Key")]
pub struct KeyView {
    pub id: String,
    pub name: String,
    pub group: String,
    /// What the secret is recognised by: its last four characters, where it has at least twenty.
    pub hint: String,
    pub enabled: bool,
    /// Models that may be asked for; empty: all.
    pub models: Vec<String>,
    pub allow: Vec<String>,
    pub deny: Vec<String>,
    #[schemars(with = "Option<Time>")]
    pub expires: Option<Time>,
    pub limits: LimitsView,
    /// null for keys of the config.
    pub created: Option<Time>,
    pub updated: Option<Time>,
    pub source: Source,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    Store,
    /// It stands in the config file, and is changed there.
    Config,
}

/// The limits of a key; null: none.
#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "Limits")]
pub struct LimitsView {
    #[schemars(with = "Option<Count>")]
    pub rpm: Option<u64>,
    #[schemars(with = "Option<Count>")]
    pub rp5h: Option<u64>,
    #[schemars(with = "Option<Count>")]
    pub rpd: Option<u64>,
    #[schemars(with = "Option<Count>")]
    pub rp7d: Option<u64>,
    #[schemars(with = "Option<Count>")]
    pub tpm: Option<u64>,
    #[schemars(with = "Option<Count>")]
    pub max_in_flight: Option<u64>,
    #[schemars(with = "Option<f64>")]
    pub spend_usd: Option<Usd>,
    #[schemars(with = "Option<f64>")]
    pub spend_usd_5h: Option<Usd>,
    #[schemars(with = "Option<f64>")]
    pub spend_usd_day: Option<Usd>,
    #[schemars(with = "Option<f64>")]
    pub spend_usd_7d: Option<Usd>,
    #[schemars(with = "Option<f64>")]
    pub spend_usd_30d: Option<Usd>,
}

impl From<&Limits> for LimitsView {
    fn from(limits: &Limits) -> Self {
        let count = |limit: u64| (limit > 0).then_some(limit);
        let usd = |limit: Usd| (!limit.is_zero()).then_some(limit);
        Self {
            rpm: count(limits.rpm),
            rp5h: count(limits.rp5h),
            rpd: count(limits.rpd),
            rp7d: count(limits.rp7d),
            tpm: count(limits.tpm),
            max_in_flight: count(limits.max_in_flight),
            spend_usd: usd(limits.spend_usd),
            spend_usd_5h: usd(limits.spend_usd_5h),
            spend_usd_day: usd(limits.spend_usd_day),
            spend_usd_7d: usd(limits.spend_usd_7d),
            spend_usd_30d: usd(limits.spend_usd_30d),
        }
    }
}

impl From<&KeyRow> for KeyView {
    fn from(key: &KeyRow) -> Self {
        Self {
            id: key.id.clone(),
            name: key.name.clone(),
            group: key.group.clone(),
            hint: key.hint.clone(),
            enabled: key.enabled,
            models: key.models.clone(),
            allow: key.allow.clone(),
            deny: key.deny.clone(),
            expires: key.expires.map(Time),
            limits: LimitsView::from(&key.limits),
            created: Some(Time(key.created)),
            updated: Some(Time(key.updated)),
            source: Source::Store,
        }
    }
}

impl KeyView {
    fn of_config(key: &config::Key, config: &Config) -> Self {
        let unix_ms = |time: std::time::SystemTime| {
            let since = time.duration_since(std::time::UNIX_EPOCH);
            let ms = since.map_or(0, |since| since.as_millis());
            Time(i64::try_from(ms).unwrap_or(i64::MAX))
        };
        Self {
            id: format!("config:{}", key.name),
            name: key.name.clone(),
            group: config
                .groups
                .get(key.group)
                .map_or_else(String::new, |group| group.name.clone()),
            hint: secret::hint(&key.secret),
            enabled: key.enabled,
            models: key.models.clone(),
            allow: key.allow.iter().map(ToString::to_string).collect(),
            deny: key.deny.iter().map(ToString::to_string).collect(),
            expires: key.expires.map(unix_ms),
            limits: LimitsView::from(&key.limits),
            created: None,
            updated: None,
            source: Source::Config,
        }
    }
}

/// The keys of the config.
pub fn of_config(config: &Config) -> Vec<KeyView> {
    let keys = config.keys.iter();
    keys.map(|key| KeyView::of_config(key, config)).collect()
}

/// The key of the config that goes by this id or name.
pub fn in_config(config: &Config, name_or_id: &str) -> Option<KeyView> {
    let by_id = name_or_id.strip_prefix("config:");
    let found = config
        .keys
        .iter()
        .find(|key| key.name == name_or_id || by_id.is_some_and(|name| key.name == name));
    found.map(|key| KeyView::of_config(key, config))
}

fn groups(config: &Config) -> Vec<&str> {
    config
        .groups
        .iter()
        .map(|group| group.name.as_str())
        .collect()
}

fn of_config_only() -> Refusal {
    let message = "this key stands in the config file; change it there and reload";
    Refusal::new(409, "key_of_config", message)
}

fn check_name(config: &Config, name: &str) -> Result<(), Refusal> {
    if config.keys.iter().any(|key| key.name == name) {
        return Err(Refusal::name_taken());
    }
    Ok(())
}

/// Makes a key with a new secret, which is told here and nowhere else. `by`: who asks.
pub async fn create(
    store: &Store,
    config: &Config,
    server_secret: &[u8; 32],
    fields: KeyChange,
    by: &str,
) -> Result<(KeyRow, Secret), Refusal> {
    fields.check_new()?;
    let secret = secret::make();
    let mut key = KeyRow {
        id: Ids::random().next("key_"),
        name: String::new(),
        group: String::new(),
        digest: secret::digest(server_secret, secret.expose().as_bytes()),
        hint: secret::hint(&secret),
        enabled: true,
        models: Vec::new(),
        allow: Vec::new(),
        deny: Vec::new(),
        expires: None,
        limits: Limits::default(),
        created: 0,
        updated: 0,
    };
    let now = crate::base::clock::unix_ms().cast_signed();
    (key.created, key.updated) = (now, now);
    fields.apply(&mut key, &groups(config))?;
    check_name(config, &key.name)?;
    let key = store.key_create(key, by).await?;
    Ok((key, secret))
}

/// Changes a key of the store. What changes nothing is not written, and nobody is told of it.
pub async fn change(
    store: &Store,
    config: &Config,
    name_or_id: &str,
    fields: KeyChange,
    by: &str,
) -> Result<KeyRow, Refusal> {
    for _ in 0..ATTEMPTS {
        let mut key = find(store, config, name_or_id).await?;
        let before = key.clone();
        fields.clone().apply(&mut key, &groups(config))?;
        if key == before {
            return Ok(key);
        }
        if key.name != before.name {
            check_name(config, &key.name)?;
        }
        match store.key_update(key, by).await {
            // Both changes are to hold, so this one is made again on top of the other.
            Err(KeyError::Conflict) => {}
            changed => return Ok(changed?),
        }
    }
    Err(KeyError::Conflict.into())
}

/// Deletes a key of the store.
pub async fn delete(
    store: &Store,
    config: &Config,
    name_or_id: &str,
    by: &str,
) -> Result<KeyRow, Refusal> {
    let key = find(store, config, name_or_id).await?;
    Ok(store.key_delete(&key.id, by).await?)
}

async fn find(store: &Store, config: &Config, name_or_id: &str) -> Result<KeyRow, Refusal> {
    match look_up(store, name_or_id).await? {
        Some(key) => Ok(key),
        None if in_config(config, name_or_id).is_some() => Err(of_config_only()),
        None => Err(Refusal::no_key()),
    }
}

async fn look_up(store: &Store, name_or_id: &str) -> Result<Option<KeyRow>, StoreError> {
    // No key has such a name, and not every database takes it.
    if name_or_id.is_empty() || name_or_id.contains(char::is_control) {
        return Ok(None);
    }
    store.key(name_or_id).await
}

/// A key of the store or of the config.
pub async fn show(store: &Store, config: &Config, name_or_id: &str) -> Result<KeyView, Refusal> {
    let key = look_up(store, name_or_id).await?;
    key.map(|key| KeyView::from(&key))
        .or_else(|| in_config(config, name_or_id))
        .ok_or_else(Refusal::no_key)
}

/// All keys, by name.
pub async fn all(store: &Store, config: &Config) -> Result<Vec<KeyView>, StoreError> {
    let (_, rows) = store.keys().await?;
    let mut keys: Vec<KeyView> = rows.iter().map(KeyView::from).collect();
    keys.extend(of_config(config));
    keys.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    Ok(keys)
}

/// Which keys are listed.
#[derive(Default, JsonSchema)]
pub struct KeysQuery {
    /// Only keys of this group.
    #[schemars(with = "Option<Plain>")]
    pub group: Option<String>,
    /// Only the key of this name.
    #[schemars(with = "Option<Plain>")]
    pub name: Option<String>,
    pub enabled: Option<bool>,
    /// How many at most; 100 when nothing is said.
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// The name after which the list goes on: `next` of the page before.
    #[schemars(with = "Option<Plain>")]
    pub after: Option<String>,
}

impl KeysQuery {
    pub fn read(mut query: Query) -> Result<Self, Refusal> {
        let read = Self {
            group: query.one("group")?,
            name: query.one("name")?,
            enabled: query.read("enabled", |text| match text {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err("must be true or false".to_owned()),
            })?,
            limit: Some(query.limit(1000, 100)?),
            after: query.one("after")?,
        };
        query.end(&["group", "name", "enabled", "limit", "after"])?;
        Ok(read)
    }

    fn takes(&self, key: &KeyView) -> bool {
        self.group.as_ref().is_none_or(|group| *group == key.group)
            && self.name.as_ref().is_none_or(|name| *name == key.name)
            && self.enabled.is_none_or(|enabled| enabled == key.enabled)
            && self.after.as_ref().is_none_or(|after| *after < key.name)
    }

    /// The page that is asked for.
    pub fn page(&self, keys: Vec<KeyView>) -> KeyList {
        let limit = self.limit.unwrap_or(100) as usize;
        let mut keys: Vec<KeyView> = keys.into_iter().filter(|key| self.takes(key)).collect();
        let mut end = keys.len().min(limit);
        // A key of the config may have the name of one in the store: a page does not end between the two.
        while end > 0 && end < keys.len() && keys[end].name == keys[end - 1].name {
            end += 1;
        }
        let more = end < keys.len();
        keys.truncate(end);
        let next = keys.last().filter(|_| more).map(|key| key.name.clone());
        KeyList { keys, next }
    }
}

#[derive(Serialize, JsonSchema)]
pub struct KeyList {
    pub keys: Vec<KeyView>,
    /// The `after` of the next page; null: this is the last one.
    pub next: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct KeyAnswer {
    pub key: KeyView,
}

#[derive(Serialize, JsonSchema)]
pub struct NewKeyAnswer {
    pub key: KeyView,
    /// Shown only now.
    pub secret: String,
}

impl Api {
    pub(super) async fn list_keys(&self, query: Query) -> Result<Reply, Refusal> {
        let query = KeysQuery::read(query)?;
        let keys = all(&self.store, &self.world.load().config).await?;
        Ok(Reply::json(200, &query.page(keys)))
    }

    pub(super) async fn create_key(&self, body: &[u8]) -> Result<Reply, Refusal> {
        let fields: KeyChange = form::read(body)?;
        let world = self.world.load_full();
        let server_secret = (self.bell.server_secret)().await?;
        let (key, secret) =
            create(&self.store, &world.config, &server_secret, fields, "admin").await?;
        (self.bell.refresh_keys)().await;
        let answer = NewKeyAnswer {
            key: KeyView::from(&key),
            secret: secret.expose().to_owned(),
        };
        let location = format!("/admin/v1/keys/{}", key.id);
        // Whatever lies between here and the client must not keep the secret.
        Ok(Reply::json(201, &answer)
            .with("location", location)
            .with("cache-control", "no-store"))
    }

    pub(super) async fn show_key(&self, name_or_id: &str) -> Result<Reply, Refusal> {
        let key = show(&self.store, &self.world.load_full().config, name_or_id).await?;
        Ok(Reply::json(200, &KeyAnswer { key }))
    }

    pub(super) async fn change_key(&self, name_or_id: &str, body: &[u8]) -> Result<Reply, Refusal> {
        let fields: KeyChange = form::read(body)?;
        let world = self.world.load_full();
        let key = change(&self.store, &world.config, name_or_id, fields, "admin").await?;
        (self.bell.refresh_keys)().await;
        let key = KeyView::from(&key);
        Ok(Reply::json(200, &KeyAnswer { key }))
    }

    pub(super) async fn delete_key(&self, name_or_id: &str) -> Result<Reply, Refusal> {
        let world = self.world.load_full();
        delete(&self.store, &world.config, name_or_id, "admin").await?;
        (self.bell.refresh_keys)().await;
        Ok(Reply::empty(204))
    }
}
