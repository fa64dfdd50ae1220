//! The keys of the store, in the world of the moment: read again when they change, and told what they used before.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
/// How long a store in trouble is left alone.
const PAUSE: Duration = Duration::from_secs(1);
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
    /// Some have not been told, or not all.
    owes: Arc<AtomicBool>,
    has_seeded: Arc<AtomicBool>,
    /// All accounts that there were last.
    known: Arc<Mutex<HashSet<Arc<str>>>>,
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
            has_seeded: Arc::default(),
            known: Arc::default(),
            renewing: Arc::default(),
        }
    }

    /// Before the first request. A store that is away passes; one whose keys cannot be used does not.
    pub async fn read_first(&self) -> Result<(), StoreError> {
        let recovered = self.ledger.recover(RECOVERY).await;
        match self.renew(!recovered).await {
            Err(error) if error.trouble != Trouble::Failed => {
                tracing::warn!(%error, "the keys of the store, and what keys have used, cannot be read yet");
                // Until then the limits of the config's keys begin at zero.
                self.owes.store(true, Relaxed);
                Ok(())
            }
            read => read,
        }
    }

    /// What has changed holds from the next request on. Goes on to its end also when nobody waits for it any more.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let keys = self.clone();
        let renewed = tokio::spawn(async move { keys.renew(false).await });
        renewed.await.unwrap_or(Ok(()))
    }

    /// `behind`: the store does not have all that was used yet.
    async fn renew(&self, behind: bool) -> Result<(), StoreError> {
        let _one = self.renewing.lock().await;
        let world = self.world.load_full();
        let changed = world.book.refresh(&self.store).await?;
        let first = !self.has_seeded.swap(true, Relaxed);
        if !changed && !first && !self.owes.load(Relaxed) {
            return Ok(());
        }
        let ring = world.make_ring();
        let wanted = self.wanted(&ring);
        if !first && !wanted.is_empty() {
            // Who is deleted or shut out is so at once; new limits hold when it is known what was used before.
            let early = self.seeded().clone();
            world.take_ring(ring.with_limits(|key| early.get(&key.account).copied()));
        }
        let seeded = self.seed(&world, wanted, behind).await;
        world.take_ring(ring);
        self.forget(&world).await;
        seeded
    }

    /// A new config is put to work.
    pub async fn take_over(&self, world: Arc<World>) {
        let _one = self.renewing.lock().await;
        // Of the keys as they are by now.
        let ring = world.make_ring();
        let wanted = self.wanted(&ring);
        if let Err(error) = self.seed(&world, wanted, false).await {
            tracing::warn!(%error, "new limits begin at zero: the store does not say what was used before");
        }
        world.take_ring(ring);
        self.world.store(world.clone());
        self.forget(&world).await;
    }

    fn seeded(&self) -> MutexGuard<'_, HashMap<Arc<str>, Limits>> {
        self.seeded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keys whose limits are new to this process.
    fn wanted(&self, ring: &KeyRing) -> Vec<(Arc<str>, Limits)> {
        let mut seeded = self.seeded();
        let limited: HashMap<Arc<str>, Limits> = ring
            .keys()
            .filter(|key| !key.limits.are_none())
            .map(|key| (key.account.clone(), key.limits))
            .collect();
        // While a key has no limits nothing is counted: it is told anew when it has some again.
        seeded.retain(|account, _| limited.contains_key(account));
        limited
            .into_iter()
            .filter(|(account, limits)| seeded.get(account) != Some(limits))
            .collect()
    }

    /// Tells limits what their keys have used before, ahead of the first request that they are held against.
    async fn seed(
        &self,
        world: &World,
        wanted: Vec<(Arc<str>, Limits)>,
        behind: bool,
    ) -> Result<(), StoreError> {
        if wanted.is_empty() {
            self.owes.store(false, Relaxed);
            return Ok(());
        }
        let owed = self.owes.swap(true, Relaxed);
        let is_new = |account: &Arc<str>| !self.seeded().contains_key(account);
        let late = owed || wanted.iter().any(|(account, _)| is_new(account));
        let whole = !behind && self.ledger.flush().await;
        past::seed(&world.limiter, &self.store, &wanted, late).await?;
        if whole {
            self.owes.store(false, Relaxed);
            self.seeded().extend(wanted);
        }
        Ok(())
    }

    /// Keys that are nowhere any more. One whose group is only missing here is another gateway's still.
    async fn forget(&self, world: &World) {
        let live = world.book.accounts(&world.config.keys);
        let gone: Vec<Arc<str>> = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let gone = known.difference(&live).cloned().collect();
            *known = live;
            gone
        };
        for account in gone {
            world.limiter.forget(&account).await;
        }
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
            if trouble {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
