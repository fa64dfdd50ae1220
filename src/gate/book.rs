//! The keys of the store, as they were read last, and the numbers by which keys are known in this process. It outlives
//! configs: each config's ring is made of its own keys and of these.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::account_of_fixed;
use crate::base::secret::DigestKey;
use crate::config;
use crate::store::{KeyRow, Store, StoreError};

/// What the store said last.
#[derive(Default)]
pub(super) struct Kept {
    /// Grows with each change.
    version: i64,
    pub(super) digest_key: Option<DigestKey>,
    pub(super) rows: Vec<KeyRow>,
}

pub struct Book {
    /// Digests of the config's own keys are made with it; they are kept nowhere.
    pub(super) own: DigestKey,
    pub(super) kept: ArcSwap<Kept>,
    /// A `key_secret` of the config.
    configured: Option<Vec<u8>>,
    has_read: AtomicBool,
    reading: tokio::sync::Mutex<()>,
    numbers: Mutex<Numbers>,
}

/// Keys have a number as long as they are there; none is given twice.
#[derive(Default)]
struct Numbers {
    next: u32,
    of: HashMap<Arc<str>, u32>,
}

impl Book {
    /// `configured`: the secret that digests are made with, where the store is not to keep one of its own.
    pub fn new(configured: Option<Vec<u8>>) -> Self {
        Self {
            own: DigestKey::random(),
            kept: ArcSwap::default(),
            configured,
            has_read: AtomicBool::new(false),
            reading: tokio::sync::Mutex::new(()),
            numbers: Mutex::default(),
        }
    }

    /// Has the store's keys been read, ever?
    pub fn has_read(&self) -> bool {
        self.has_read.load(Ordering::Acquire)
    }

    /// Reads the keys again where they have changed; whether they have. Rings must be made anew then.
    pub async fn refresh(&self, store: &Store) -> Result<bool, StoreError> {
        let _one = self.reading.lock().await;
        let known = self.kept.load();
        if self.has_read() && store.keys_version().await? == known.version {
            return Ok(false);
        }
        let digest_key = match &known.digest_key {
            Some(key) => key.clone(),
            None => DigestKey::new(&store.server_secret(self.configured.as_deref()).await?),
        };
        let (version, rows) = store.keys().await?;
        self.kept.store(Arc::new(Kept {
            version,
            digest_key: Some(digest_key),
            rows,
        }));
        self.has_read.store(true, Ordering::Release);
        Ok(true)
    }

    /// All accounts that there are, whether this config has their group or not.
    pub fn accounts(&self, fixed: &[config::Key]) -> HashSet<Arc<str>> {
        let fixed = fixed.iter().map(|key| account_of_fixed(&key.name).into());
        let kept = self.kept.load();
        let rows = kept.rows.iter().map(|row| Arc::from(row.id.as_str()));
        fixed.chain(rows).collect()
    }

    #[cfg(test)]
    pub(super) fn is_read_in_test(&self) {
        self.has_read.store(true, Ordering::Release);
    }

    /// The numbers of these names; those of others are forgotten.
    pub(super) fn numbers(&self, names: &[Arc<str>]) -> Vec<u32> {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::take(&mut numbers.of);
        names
            .iter()
            .map(|name| {
                let number = old.get(name).copied().unwrap_or_else(|| {
                    numbers.next += 1;
                    numbers.next
                });
                numbers.of.insert(name.clone(), number);
                number
            })
            .collect()
    }
}
