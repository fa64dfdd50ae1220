//! Who are you, and may you? Keys, where they may come from, what they may call.

mod address;
mod book;
mod credential;
pub mod limits;
pub mod secret;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ipnet::IpNet;

pub use address::client_address;
pub use book::Book;
pub use credential::{Credentials, is_query_key};

use crate::base::secret::{DigestKey, KeyDigest};
use crate::base::{Fault, FaultKind, Limits, glob};
use crate::config::{self, network};
use crate::store::KeyRow;

/// A key, ready for the hot path.
#[derive(Clone, Debug)]
pub struct Key {
    /// Stands for the name in caches.
    pub id: u32,
    /// What its use is counted under, whatever its name: the id of a kept key, `config:NAME` of a fixed one.
    pub account: Arc<str>,
    pub name: Arc<str>,
    /// Whose its responses are: another key that gets the same name later is somebody else.
    pub owner: Arc<str>,
    /// Index of its group.
    pub group: usize,
    pub limits: Limits,
    enabled: bool,
    models: Vec<String>,
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
    expires: Option<SystemTime>,
    /// What the ring finds it by.
    digest: KeyDigest,
}

/// All keys, found by the keyed hash of their secret.
pub struct KeyRing {
    /// Digests of the config's keys, and of those that are kept, are made with these.
    own: DigestKey,
    kept: Option<DigestKey>,
    by_digest: HashMap<KeyDigest, Arc<Key>>,
    /// Keys of the store whose group this config does not have.
    astray: HashMap<KeyDigest, String>,
    /// The store has never been read: who is unknown may be known to it.
    is_partial: bool,
}

impl KeyRing {
    /// The keys of a config and those that the book knows of.
    pub fn new(groups: &[config::Group], fixed: &[config::Key], book: &Book) -> Self {
        let kept = book.kept.load();
        let mut keys: Vec<Key> = fixed
            .iter()
            .map(|key| Key::fixed(book.own.digest(key.secret.expose().as_bytes()), key))
            .collect();
        let mut astray = HashMap::new();
        for row in &kept.rows {
            match groups.iter().position(|group| group.name == row.group) {
                Some(group) => keys.push(Key::kept(row, group)),
                None => {
                    astray.insert(KeyDigest::of_bytes(row.digest), row.group.clone());
                }
            }
        }
        // A key with another name is another one in metrics.
        let named = keys
            .iter()
            .map(|key| format!("{}\n{}", key.account, key.name).into());
        let named: Vec<Arc<str>> = named.collect();
        let numbers = book.numbers(&named);
        let numbered = keys.into_iter().zip(numbers);
        Self {
            own: book.own.clone(),
            kept: kept.digest_key.clone().filter(|_| !kept.rows.is_empty()),
            by_digest: numbered
                .map(|(key, id)| (key.digest, Arc::new(Key { id, ..key })))
                .collect(),
            astray,
            is_partial: !book.has_read(),
        }
    }

    /// The same, with these limits.
    #[must_use]
    pub fn with_limits(&self, limits: impl Fn(&Key) -> Option<Limits>) -> Self {
        let with = |key: &Key| Key {
            limits: limits(key).unwrap_or_default(),
            ..key.clone()
        };
        let keys = self.by_digest.iter();
        Self {
            own: self.own.clone(),
            kept: self.kept.clone(),
            by_digest: keys
                .map(|(digest, key)| (*digest, Arc::new(with(key))))
                .collect(),
            astray: self.astray.clone(),
            is_partial: self.is_partial,
        }
    }

    pub fn keys(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.by_digest.values()
    }

    fn find(&self, secret: &[u8]) -> Option<&Arc<Key>> {
        let digests = [self.kept.as_ref(), Some(&self.own)];
        digests.into_iter().flatten().find_map(|digest_key| {
            let digest = digest_key.digest(secret);
            self.by_digest
                .get_key_value(&digest)
                .filter(|(stored, _)| stored.same(&digest))
                .map(|(_, key)| key)
        })
    }

    /// Why nobody is let in by these secrets.
    fn unknown(&self, credentials: &Credentials<'_>) -> Fault {
        let astray = self.kept.as_ref().and_then(|digest_key| {
            credentials
                .iter()
                .find_map(|secret| self.astray.get(&digest_key.digest(secret)))
        });
        if let Some(group) = astray {
            return Fault::new(
                FaultKind::ApiKeyDisabled,
                format!(
                    "This API key belongs to the group '{group}', which this gateway does not have now. Tell the operator."
                ),
            );
        }
        if self.is_partial {
            return Fault::new(
                FaultKind::StoreUnavailable,
                "The gateway cannot read its keys right now. Try again.",
            )
            .retry_after(Duration::from_secs(1));
        }
        Fault::new(
            FaultKind::InvalidApiKey,
            "The API key is not known to this gateway. Check it, or ask the operator for a new one.",
        )
    }

    /// The key of a request, when it may come in at all: known, enabled, not expired, from an address
    /// that it allows.
    pub fn authenticate(
        &self,
        credentials: &Credentials<'_>,
        address: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Arc<Key>, Fault> {
        if credentials.is_empty() {
            return Err(Fault::new(
                FaultKind::ApiKeyRequired,
                "No API key was sent. Send it as 'Authorization: Bearer sk-…', 'x-api-key' or 'x-goog-api-key'.",
            ));
        }
        let Some(key) = credentials.iter().find_map(|secret| self.find(secret)) else {
            return Err(self.unknown(credentials));
        };
        key.admit(address, now)?;
        Ok(key.clone())
    }

    /// A key that was let in before, maybe by a ring that this one took over from: the same secret, as it may come in
    /// now.
    pub fn readmit(
        &self,
        key: &Key,
        address: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Arc<Key>, Fault> {
        let Some(key) = self.by_digest.get(&key.digest) else {
            return Err(Fault::new(
                FaultKind::InvalidApiKey,
                "The API key is no longer known to this gateway. Ask the operator for a new one.",
            ));
        };
        key.admit(address, now)?;
        Ok(key.clone())
    }
}

impl Key {
    /// One that stands in the config.
    fn fixed(digest: KeyDigest, key: &config::Key) -> Self {
        let name: Arc<str> = key.name.as_str().into();
        Self {
            id: 0,
            account: account_of_fixed(&name).into(),
            owner: name.clone(),
            name,
            group: key.group,
            limits: key.limits,
            enabled: key.enabled,
            models: key.models.clone(),
            allow: key.allow.clone(),
            deny: key.deny.clone(),
            expires: key.expires,
            digest,
        }
    }

    /// One of the store. What was written there was checked.
    fn kept(row: &KeyRow, group: usize) -> Self {
        let nets = |texts: &[String]| -> Option<Vec<IpNet>> {
            texts.iter().map(|net| network(net)).collect()
        };
        let (allow, deny) = (nets(&row.allow), nets(&row.deny));
        let account: Arc<str> = row.id.as_str().into();
        Self {
            id: 0,
            owner: account.clone(),
            account,
            name: row.name.as_str().into(),
            group,
            limits: row.limits,
            // A network that cannot be read must not open the door.
            enabled: row.enabled && allow.is_some() && deny.is_some(),
            models: row.models.clone(),
            allow: allow.unwrap_or_default(),
            deny: deny.unwrap_or_default(),
            expires: row
                .expires
                .and_then(|ms| UNIX_EPOCH.checked_add(Duration::from_millis(ms.try_into().ok()?))),
            digest: KeyDigest::of_bytes(row.digest),
        }
    }

    fn admit(&self, address: Option<IpAddr>, now: SystemTime) -> Result<(), Fault> {
        if !self.enabled {
            return Err(Fault::new(
                FaultKind::ApiKeyDisabled,
                "This API key is disabled. Ask the operator to enable it.",
            ));
        }
        if self.expires.is_some_and(|expires| expires <= now) {
            return Err(Fault::new(
                FaultKind::ApiKeyExpired,
                "This API key has expired. Ask the operator for a new one.",
            ));
        }
        let listed = |nets: &[IpNet]| {
            address.is_some_and(|address| nets.iter().any(|net| net.contains(&address)))
        };
        if listed(&self.deny) || (!self.allow.is_empty() && !listed(&self.allow)) {
            return Err(Fault::new(
                FaultKind::AccessDenied,
                "This API key may not be used from your network address.",
            ));
        }
        Ok(())
    }

    /// May this key call a model that is asked for by any of these names?
    pub fn allows_model(&self, names: &[&str]) -> bool {
        self.models.is_empty()
            || names.iter().any(|name| {
                self.models
                    .iter()
                    .any(|pattern| glob::matches(pattern, name))
            })
    }
}

/// What the use of a key of the config is counted under.
pub fn account_of_fixed(name: &str) -> String {
    format!("config:{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Secret;
    use http::HeaderMap;
    use std::time::{Duration, UNIX_EPOCH};

    fn key(change: impl FnOnce(&mut config::Key)) -> KeyRing {
        let mut key = config::Key {
            name: "a".into(),
            group: 0,
            secret: Secret::new("sk-a"),
            enabled: true,
            models: vec![],
            allow: vec![],
            deny: vec![],
            expires: None,
            limits: crate::base::Limits::default(),
        };
        change(&mut key);
        let book = Book::new(None);
        book.is_read_in_test();
        KeyRing::new(&[], &[key], &book)
    }

    fn enter(ring: &KeyRing, secret: &str, address: &str) -> Result<(), FaultKind> {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", secret.parse().expect("a header"));
        let credentials = Credentials::find(&headers, "", false).expect("well placed");
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        ring.authenticate(&credentials, address.parse().ok(), now)
            .map(|_| ())
            .map_err(|fault| fault.kind)
    }

    #[test]
    fn only_a_known_enabled_unexpired_key_comes_in() {
        assert_eq!(enter(&key(|_| {}), "sk-a", "10.0.0.1"), Ok(()));
        assert_eq!(
            enter(&key(|_| {}), "sk-b", "10.0.0.1"),
            Err(FaultKind::InvalidApiKey)
        );
        assert_eq!(
            enter(&key(|k| k.enabled = false), "sk-a", ""),
            Err(FaultKind::ApiKeyDisabled)
        );
        let expired = key(|k| k.expires = Some(UNIX_EPOCH + Duration::from_secs(1000)));
        assert_eq!(enter(&expired, "sk-a", ""), Err(FaultKind::ApiKeyExpired));
    }

    #[test]
    fn networks_are_allowed_and_denied() {
        let nets = |text: &str| vec![text.parse::<IpNet>().expect("a network")];
        let ring = key(|k| {
            k.allow = nets("10.0.0.0/8");
            k.deny = nets("10.9.0.0/16");
        });
        assert_eq!(enter(&ring, "sk-a", "10.1.2.3"), Ok(()));
        assert_eq!(
            enter(&ring, "sk-a", "10.9.2.3"),
            Err(FaultKind::AccessDenied)
        );
        assert_eq!(
            enter(&ring, "sk-a", "192.168.0.1"),
            Err(FaultKind::AccessDenied)
        );
        assert_eq!(enter(&ring, "sk-a", "::1"), Err(FaultKind::AccessDenied));
        assert_eq!(
            enter(&key(|k| k.deny = nets("::/0")), "sk-a", "::1"),
            Err(FaultKind::AccessDenied)
        );
    }

    #[test]
    fn models_are_allowed_by_any_of_their_names() {
        let ring = key(|k| k.models = vec!["gpt-5*".into()]);
        let key = ring.by_digest.values().next().expect("a key");
        assert!(key.allows_model(&["fast", "gpt-5-mini"]));
        assert!(!key.allows_model(&["claude"]));
    }
}
