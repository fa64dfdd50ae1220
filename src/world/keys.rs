//! The keys of the store, in the world of the moment: read again when they change, and told what they used before.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::World;
use crate::base::Limits;
use crate::gate::KeyRing;
use crate::gate::limits::past;
use crate::meter::Ledger;
use crate::store::{Store, StoreError, Trouble};

/// How often changes of keys are looked for that were made elsewhere.
const STEP: Duration = Duration::from_millis(300);
/// How long a start waits until the store has what was left in the spool.
const RECOVERY: Duration = Duration::from_secs(5);

/// The keys of the store, and the world that they are used in.
#[derive(Clone)]
pub struct Keys {
    pub world: Arc<ArcSwap<World>>,
    pub store: Store,
    ledger: Arc<Ledger>,
    /// The limits with which accounts have been told what they used before.
    seeded: Arc<Mutex<HashMap<Arc<str>, Limits>>>,
    /// Some have not been told.
    owes: Arc<AtomicBool>,
    /// One change at a time.
    renewing: Arc<tokio::sync::Mutex<()>>,
}

impl Keys {
    pub fn new(world: World, store: Store, ledger: Arc<Ledger>) -> Self {
        Self {
            world: Arc::new(ArcSwap::from_pointee(world)),
            store,
            ledger,
            seeded: Arc::default(),
            owes: Arc::default(),
            renewing: Arc::default(),
        }
    }

    /// Before the first request. A store that is away passes; one whose keys cannot be used does not.
    pub async fn read_first(&self) -> Result<(), StoreError> {
        self.ledger.recover(RECOVERY).await;
        // Those of the config have limits, too.
        self.owes.store(true, Relaxed);
        match self.refresh().await {
            Err(error) if error.trouble != Trouble::Failed => {
                tracing::warn!(%error, "the keys of the store, and what keys have used, cannot be read yet");
                Ok(())
            }
            read => read,
        }
    }

    /// What has changed holds from the next request on.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let _one = self.renewing.lock().await;
        let world = self.world.load_full();
        if !world.book.refresh(&self.store).await? && !self.owes.load(Relaxed) {
            return Ok(());
        }
        let ring = world.make_ring();
        let seeded = self.seed(&world, &ring).await;
        world.take_ring(ring);
        seeded
    }

    /// A new config is put to work.
    pub async fn take_over(&self, world: Arc<World>) {
        let _one = self.renewing.lock().await;
        // Of the keys as they are by now.
        let ring = world.make_ring();
        if let Err(error) = self.seed(&world, &ring).await {
            tracing::warn!(%error, "new limits begin at zero: the store does not say what was used before");
        }
        world.take_ring(ring);
        self.world.store(world);
    }

    /// Tells limits that are new to this process what their keys have used before, ahead of the first request that they
    /// are held against.
    async fn seed(&self, world: &World, ring: &KeyRing) -> Result<(), StoreError> {
        let live: HashSet<&Arc<str>> = ring.keys().map(|key| &key.account).collect();
        let (wanted, gone) = {
            let mut seeded = self.seeded.lock().unwrap_or_else(PoisonError::into_inner);
            let gone: Vec<Arc<str>> = seeded
                .extract_if(|account, _| !live.contains(account))
                .map(|(account, _)| account)
                .collect();
            let wanted: Vec<(Arc<str>, Limits)> = ring
                .keys()
                .filter(|key| !key.limits.are_none())
                .map(|key| (key.account.clone(), key.limits))
                .filter(|(account, limits)| seeded.get(account) != Some(limits))
                .collect();
            (wanted, gone)
        };
        for account in gone {
            world.limiter.forget(&account).await;
        }
        if wanted.is_empty() {
            self.owes.store(false, Relaxed);
            return Ok(());
        }
        self.owes.store(true, Relaxed);
        self.ledger.flush().await;
        past::seed(&world.limiter, &self.store, &wanted).await?;
        self.owes.store(false, Relaxed);
        let mut seeded = self.seeded.lock().unwrap_or_else(PoisonError::into_inner);
        seeded.extend(wanted);
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
