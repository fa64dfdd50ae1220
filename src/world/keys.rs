//! The keys of the store, in the world of the moment: read again when they change, and told what they used before.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::World;
use crate::base::Limits;
use crate::gate::limits::past;
use crate::store::{Store, StoreError, Trouble};

/// How often changes of keys are looked for that were made elsewhere.
const STEP: Duration = Duration::from_millis(300);

/// The keys of the store, and the world that they are used in.
#[derive(Clone)]
pub struct Keys {
    pub world: Arc<ArcSwap<World>>,
    pub store: Store,
    /// The limits with which accounts have been told what they used before.
    seeded: Arc<Mutex<HashMap<Arc<str>, Limits>>>,
}

impl Keys {
    pub fn new(world: World, store: Store) -> Self {
        Self {
            world: Arc::new(ArcSwap::from_pointee(world)),
            store,
            seeded: Arc::default(),
        }
    }

    /// Before the first request. A store that is away passes; one whose keys cannot be used does not.
    pub async fn read_first(&self) -> Result<(), StoreError> {
        match self.refresh().await {
            Err(error) if error.trouble != Trouble::Failed => {
                tracing::warn!(%error, "the keys of the store cannot be read yet");
                // Those of the config have limits, too.
                self.seed().await.or(Ok(()))
            }
            read => read,
        }
    }

    /// What has changed holds from the next request on.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let book = self.world.load().book.clone();
        if book.refresh(&self.store).await? {
            self.world.load().renew_ring();
        }
        self.seed().await
    }

    /// A new config is put to work.
    pub fn take_over(&self, world: &Arc<World>) {
        self.world.store(world.clone());
        // What has changed of the keys since the new world was made.
        world.renew_ring();
    }

    /// Tells the limits of keys that are new to this process what these have used before.
    async fn seed(&self) -> Result<(), StoreError> {
        let world = self.world.load_full();
        let ring = world.ring().clone();
        let limited = ring.keys().filter(|key| !key.limits.are_none());
        let wanted: Vec<(Arc<str>, Limits)> = {
            let seeded = self.seeded.lock().unwrap_or_else(PoisonError::into_inner);
            limited
                .map(|key| (key.account.clone(), key.limits))
                .filter(|(account, limits)| seeded.get(account) != Some(limits))
                .collect()
        };
        if wanted.is_empty() {
            return Ok(());
        }
        past::seed(&world.limiter, &self.store, &wanted).await?;
        let gone: Vec<Arc<str>> = {
            let mut seeded = self.seeded.lock().unwrap_or_else(PoisonError::into_inner);
            seeded.extend(wanted);
            let live: HashSet<&Arc<str>> = ring.keys().map(|key| &key.account).collect();
            let gone = seeded.keys().filter(|account| !live.contains(account));
            let gone: Vec<Arc<str>> = gone.cloned().collect();
            seeded.retain(|account, _| live.contains(account));
            gone
        };
        for account in gone {
            world.limiter.forget(&account).await;
        }
        Ok(())
    }

    /// Sees what other gateways and commands change, for ever.
    pub async fn keep(&self) {
        let mut trouble = false;
        loop {
            tokio::time::sleep(STEP).await;
            let refreshed = self.refresh().await;
            match &refreshed {
                Ok(()) if trouble => tracing::info!("the keys of the store can be read again"),
                Err(error) if !trouble => {
                    tracing::warn!(%error, "the keys of the store cannot be read; those that are known go on");
                }
                Ok(()) | Err(_) => {}
            }
            trouble = refreshed.is_err();
        }
    }
}
