//! A config, put to work: what one request is served with from its beginning to its end, whatever a
//! reload does meanwhile.

mod keys;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use ahash::RandomState;
use arc_swap::ArcSwap;
use prometheus::IntCounter;

use crate::base::Outcome;
use crate::config::Config;
use crate::gate::limits::Limiter;
use crate::gate::{Book, Key, KeyRing};
use crate::meter::metrics;
use crate::route::{Channel, Group};

pub use keys::Keys;

static WORLDS: AtomicU32 = AtomicU32::new(0);

/// More model names than this are not told apart in metrics.
const MAX_MODELS: usize = 512;

pub struct World {
    pub config: Config,
    /// What outlives it.
    pub book: Arc<Book>,
    pub limiter: Arc<Limiter>,
    /// No other world of this process has it.
    pub number: u32,
    /// Changes with the keys of the store, also while the config stays.
    ring: ArcSwap<KeyRing>,
    pub groups: Vec<Group>,
    pub channels: Vec<Arc<Channel>>,
    /// By channel id, then outcome.
    attempts: Vec<[IntCounter; Outcome::ALL.len()]>,
    /// Models that the config names itself.
    named_models: HashSet<String, RandomState>,
    /// Models that a channel has answered for.
    seen_models: Mutex<HashSet<String, RandomState>>,
}

impl World {
    /// `old`: the world that this one takes over from; channels keep what they have learnt.
    pub fn new(config: Config, book: Arc<Book>, limiter: Arc<Limiter>, old: Option<&Self>) -> Self {
        let channels: Vec<Arc<Channel>> = config
            .channels
            .iter()
            .enumerate()
            .map(|(id, channel)| {
                let channel = Channel::new(id as u32, channel.clone());
                let known =
                    old.and_then(|old| old.channels.iter().find(|c| c.name == channel.name));
                if let Some(known) = known {
                    channel.inherit(known);
                }
                Arc::new(channel)
            })
            .collect();
        let groups = config
            .groups
            .iter()
            .map(|group| Group::new(group, &channels))
            .collect();
        let attempts = config
            .channels
            .iter()
            .map(|channel| {
                Outcome::ALL.map(|outcome| {
                    metrics()
                        .attempts
                        .with_label_values(&[channel.name.as_str(), outcome.name()])
                })
            })
            .collect();
        Self {
            attempts,
            ring: ArcSwap::from_pointee(KeyRing::new(&config.groups, &config.keys, &book)),
            book,
            limiter,
            number: WORLDS.fetch_add(1, Relaxed),
            groups,
            named_models: named_models(&config),
            seen_models: Mutex::default(),
            channels,
            config,
        }
    }

    pub fn ring(&self) -> arc_swap::Guard<Arc<KeyRing>> {
        self.ring.load()
    }

    /// The ring of the keys as they are known by now.
    fn make_ring(&self) -> KeyRing {
        KeyRing::new(&self.config.groups, &self.config.keys, &self.book)
    }

    fn take_ring(&self, ring: KeyRing) {
        self.ring.store(Arc::new(ring));
    }

    pub fn count_attempt(&self, channel: &Channel, outcome: Outcome) {
        self.attempts[channel.id as usize][outcome as usize].inc();
    }

    /// The ids that a key's models list shows: what its group's channels name, without patterns.
    pub fn models_of(&self, key: &Key) -> Vec<String> {
        let group = &self.groups[key.group];
        let named = group.channels().flat_map(|channel| {
            let mapped = channel
                .config
                .model_map
                .iter()
                .map(|(from, _)| from.as_str());
            let listed = channel.config.models.iter().map(String::as_str);
            listed.chain(mapped)
        });
        let mut ids: Vec<String> = named
            .chain(group.alias_names())
            .filter(|id| !id.contains('*') && key.allows_model(&[id]))
            .map(str::to_owned)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Would a channel of the key's group take this model?
    pub fn routes(&self, key: &Key, model: &str) -> bool {
        let group = &self.groups[key.group];
        let target = group.alias(model).unwrap_or(model);
        key.allows_model(&[model, target])
            && group
                .channels()
                .any(|channel| channel.route(target).is_some())
    }

    /// The name of a model in metrics: its own when the config names it or a channel has answered for
    /// it, else `other`, so that no client can fill the memory with names.
    pub fn model_label<'a>(&self, model: &'a str, answered: bool) -> &'a str {
        if model.is_empty() || self.named_models.contains(model) {
            return model;
        }
        let mut seen = self
            .seen_models
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if seen.contains(model) {
            return model;
        }
        if answered && seen.len() < MAX_MODELS {
            seen.insert(model.to_owned());
            return model;
        }
        "other"
    }

    /// Groups of which no channel may be used now.
    pub fn groups_without_channel(&self, now: Instant) -> Vec<&str> {
        self.groups
            .iter()
            .filter(|group| !group.channels().any(|channel| channel.is_ready(now)))
            .map(|group| &*group.name)
            .collect()
    }
}

fn named_models(config: &Config) -> HashSet<String, RandomState> {
    let channels = config.channels.iter().flat_map(|channel| {
        let mapped = channel.model_map.iter().map(|(from, _)| from);
        channel
            .models
            .iter()
            .filter(|model| !model.contains('*'))
            .chain(mapped)
    });
    let aliases = config
        .groups
        .iter()
        .flat_map(|group| group.aliases.iter().map(|(name, _)| name));
    channels.chain(aliases).cloned().collect()
}
