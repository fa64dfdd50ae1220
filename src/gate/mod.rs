//! Who are you, and may you? Keys, where they may come from, what they may call.

mod address;
mod credential;
pub mod secret;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use ipnet::IpNet;

pub use address::client_address;
pub use credential::{Credentials, is_query_key};

use crate::base::secret::{DigestKey, KeyDigest};
use crate::base::{Fault, FaultKind, glob};
use crate::config;

/// A key, ready for the hot path.
#[derive(Debug)]
pub struct Key {
    /// Index among the keys of this config: stands for the name in caches.
    pub id: u32,
    pub name: Arc<str>,
    /// Index of its group.
    pub group: usize,
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
    digest_key: DigestKey,
    by_digest: HashMap<KeyDigest, Arc<Key>>,
}

impl KeyRing {
    /// `old`: the ring that this one takes over from; a key that was let in by it can be found again.
    pub fn new(keys: &[config::Key], old: Option<&Self>) -> Self {
        let digest_key = old.map_or_else(DigestKey::random, |old| old.digest_key.clone());
        let by_digest = keys
            .iter()
            .enumerate()
            .map(|(id, key)| {
                let digest = digest_key.digest(key.secret.expose().as_bytes());
                (digest, Arc::new(Key::new(id as u32, digest, key)))
            })
            .collect();
        Self {
            digest_key,
            by_digest,
        }
    }

    fn find(&self, secret: &[u8]) -> Option<&Arc<Key>> {
        let digest = self.digest_key.digest(secret);
        self.by_digest
            .get_key_value(&digest)
            .filter(|(stored, _)| stored.same(&digest))
            .map(|(_, key)| key)
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
            return Err(Fault::new(
                FaultKind::InvalidApiKey,
                "The API key is not known to this gateway. Check it, or ask the operator for a new one.",
            ));
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
    fn new(id: u32, digest: KeyDigest, key: &config::Key) -> Self {
        Self {
            id,
            name: key.name.as_str().into(),
            group: key.group,
            enabled: key.enabled,
            models: key.models.clone(),
            allow: key.allow.clone(),
            deny: key.deny.clone(),
            expires: key.expires,
            digest,
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
        KeyRing::new(&[key], None)
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
