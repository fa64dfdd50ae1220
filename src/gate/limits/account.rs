//! What one key has used and reserved, and whether there is room for a request. `admit.lua` is the same in Redis.
//! Knows neither clock nor lock.

use super::need::{Caps, Need, REQUESTS, SPEND, TOKENS, WINDOWS, nano};
use super::window::{Shape, Window};
use super::{Denied, Limit, Seed, Standing};

/// A clock that is this far behind was set back; one that is less far behind is waited for.
pub const SET_BACK_MS: u64 = 10_000;

/// Where only requests under way are in the way, nobody knows when they end.
pub const BUSY_MS: u64 = 1000;

/// The buckets of windows, each with its number, and what was spent in all.
pub type Counted = (Vec<(usize, Vec<(u64, u64)>)>, Option<u64>);

/// What a request holds until it is settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub places: u64,
    pub tokens: u64,
    pub spend: u64,
}

/// A limit without room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    pub limit: Limit,
    pub max: u64,
    /// `None`: never by itself.
    pub retry_ms: Option<u64>,
    pub too_large: bool,
    /// What is really used leaves no room, whatever is given back.
    pub used_up: bool,
}

impl Full {
    /// The one that lasts longer; the first of two that last as long.
    fn or(self, other: Option<Self>) -> Self {
        let lasts = |full: &Self| full.retry_ms.unwrap_or(u64::MAX);
        match other {
            Some(other) if lasts(&other) >= lasts(&self) => other,
            _ => self,
        }
    }
}

#[derive(Debug, Default)]
pub struct Account {
    now: u64,
    windows: [Option<Window>; WINDOWS.len()],
    /// Spent in all; `None` where it was never limited.
    total: Option<u64>,
    held: Held,
}

impl Account {
    /// The time goes on.
    fn advance(&mut self, now: u64) -> u64 {
        let set_back = now.saturating_add(SET_BACK_MS) < self.now;
        self.now = if set_back { now } else { now.max(self.now) };
        for window in self.windows.iter_mut().flatten() {
            if set_back {
                window.rebase(now);
            } else {
                window.advance(self.now);
            }
        }
        self.now
    }

    /// A span is counted from when it is limited first, and from then on.
    fn open(&mut self, caps: &Caps) {
        for (index, cap) in caps.windows.iter().enumerate() {
            if cap.is_some() && self.windows[index].is_none() {
                self.windows[index] = Some(Window::new(Shape::of(WINDOWS[index].1), self.now));
            }
        }
        if caps.total.is_some() {
            self.total.get_or_insert(0);
        }
    }

    /// Checks and reserves; a refusal changes nothing but the time.
    pub fn admit(
        &mut self,
        caps: &Caps,
        need: &Need,
        now: u64,
    ) -> Result<(Held, Standing), Box<Denied>> {
        let now = self.advance(now);
        self.open(caps);
        match self.check(caps, need, now) {
            Ok(held) => {
                self.take(need.counts, held);
                Ok((held, self.standing(caps, now)))
            }
            Err(full) => Err(Box::new(Denied::new(full, self.standing(caps, now)))),
        }
    }

    /// Counts a request that another ledger has let in.
    pub fn admitted(&mut self, caps: &Caps, counts: bool, held: Held, now: u64) {
        self.advance(now);
        self.open(caps);
        self.take(counts, held);
    }

    fn take(&mut self, counts: bool, held: Held) {
        if counts {
            for window in self.windows[REQUESTS].iter_mut().flatten() {
                window.add(1);
            }
        }
        self.held.places += held.places;
        self.held.tokens = self.held.tokens.saturating_add(held.tokens);
        self.held.spend = self.held.spend.saturating_add(held.spend);
    }

    fn check(&self, caps: &Caps, need: &Need, now: u64) -> Result<Held, Full> {
        let mut worst: Option<Full> = None;
        let mut note = |full: Option<Full>| {
            if let Some(full) = full {
                worst = Some(full.or(worst));
            }
        };
        if need.unpriced {
            note(Some(Full {
                limit: Limit::Unpriced,
                max: 0,
                retry_ms: None,
                too_large: false,
                used_up: false,
            }));
        }
        if need.counts {
            if let Some(max) = caps.in_flight
                && self.held.places >= max
            {
                note(Some(Full {
                    limit: Limit::MaxInFlight,
                    max,
                    retry_ms: Some(BUSY_MS),
                    too_large: false,
                    used_up: false,
                }));
            }
            for index in REQUESTS {
                note(self.full(index, caps, 1, 0, now));
            }
        }
        let tokens = self.room(
            TOKENS..TOKENS + 1,
            caps,
            None,
            need.tokens,
            self.held.tokens,
        );
        let spend = self.room(SPEND, caps, caps.total, need.spend, self.held.spend);
        if tokens.is_none() {
            note(self.full(TOKENS, caps, need.tokens.1, self.held.tokens, now));
        }
        if spend.is_none() {
            note(self.full_in_all(caps, need.spend.1));
            for index in SPEND {
                note(self.full(index, caps, need.spend.1, self.held.spend, now));
            }
        }
        // Where there is no room, a limit is full.
        worst.map_or(Ok(()), Err)?;
        Ok(Held {
            places: need.counts.into(),
            tokens: tokens.unwrap_or_default(),
            spend: spend.unwrap_or_default(),
        })
    }

    fn used(&self, index: usize) -> u64 {
        self.windows[index].as_ref().map_or(0, Window::sum)
    }

    /// What to reserve in these windows: all that is asked for, or else what remains, if the least fits.
    fn room(
        &self,
        windows: std::ops::Range<usize>,
        caps: &Caps,
        total: Option<u64>,
        (most, least): (u64, u64),
        held: u64,
    ) -> Option<u64> {
        if most == 0 {
            return Some(0);
        }
        let windows = windows.filter_map(|index| Some((caps.windows[index]?, self.used(index))));
        let total = total.map(|cap| (cap, self.total.unwrap_or(0)));
        let left = windows
            .chain(total)
            .map(|(cap, used)| cap.saturating_sub(used).saturating_sub(held))
            .min()
            .unwrap_or(u64::MAX);
        if most <= left {
            Some(most)
        } else {
            (least <= left).then_some(left)
        }
    }

    /// Is this window too full for so much?
    fn full(&self, index: usize, caps: &Caps, need: u64, held: u64, now: u64) -> Option<Full> {
        let (max, window) = (caps.windows[index]?, self.windows[index].as_ref()?);
        let used = window.sum();
        if need <= max.saturating_sub(used).saturating_sub(held) {
            return None;
        }
        let too_large = need > max;
        let used_up = !too_large && need > max.saturating_sub(used);
        let retry_ms = if too_large {
            None
        } else if used_up {
            window.frees(used - (max - need), now)
        } else {
            Some(BUSY_MS)
        };
        Some(Full {
            limit: WINDOWS[index].0,
            max,
            retry_ms,
            too_large,
            used_up,
        })
    }

    fn full_in_all(&self, caps: &Caps, need: u64) -> Option<Full> {
        let (max, used) = (caps.total?, self.total.unwrap_or(0));
        let left = max.saturating_sub(used);
        let too_large = need > max;
        let used_up = !too_large && need > left;
        (need > left.saturating_sub(self.held.spend)).then_some(Full {
            limit: Limit::SpendUsd,
            max,
            retry_ms: (!too_large && !used_up).then_some(BUSY_MS),
            too_large,
            used_up,
        })
    }

    fn standing(&self, caps: &Caps, now: u64) -> Standing {
        let requests = REQUESTS
            .filter_map(|index| {
                let (limit, window) = (caps.windows[index]?, self.windows[index].as_ref()?);
                let remaining = limit.saturating_sub(window.sum());
                Some((limit, remaining, window.resets(now)))
            })
            .min_by_key(|(_, remaining, reset)| (*remaining, u64::MAX - reset));
        let tokens =
            caps.windows[TOKENS]
                .zip(self.windows[TOKENS].as_ref())
                .map(|(limit, window)| {
                    let (used, held) = (window.sum(), self.held.tokens);
                    let remaining = limit.saturating_sub(used).saturating_sub(held);
                    // What is reserved counts as if it were used now.
                    let reset = if held > 0 {
                        window.whole(now)
                    } else {
                        window.resets(now)
                    };
                    (limit, remaining, reset)
                });
        Standing::new(requests, tokens)
    }

    /// The reservation goes, and what was used comes.
    pub fn settle(&mut self, held: Held, tokens: u64, spend: u64, now: u64) {
        self.advance(now);
        self.held.places = self.held.places.saturating_sub(held.places);
        self.held.tokens = self.held.tokens.saturating_sub(held.tokens);
        self.held.spend = self.held.spend.saturating_sub(held.spend);
        if tokens > 0
            && let Some(window) = &mut self.windows[TOKENS]
        {
            window.add(tokens);
        }
        if spend > 0 {
            for window in self.windows[SPEND].iter_mut().flatten() {
                window.add(spend);
            }
            if let Some(total) = &mut self.total {
                *total = total.saturating_add(spend);
            }
        }
    }

    /// What was used before: for spans that are limited and not counted yet.
    /// Brings what has been counted without its past up to what the store knows, which has in it what was counted here. What
    /// was under way meanwhile may stand in two buckets; a minute is soon over, and is left as it is.
    pub fn catch_up(&mut self, seed: &Seed, now: u64) {
        self.advance(now);
        for (index, (_, span)) in WINDOWS.iter().enumerate() {
            let Some(window) = self.windows[index]
                .as_mut()
                .filter(|_| *span != crate::base::Span::Minute)
            else {
                continue;
            };
            for past in seed.past(*span) {
                window.raise(past.bucket, past.of(index));
            }
        }
        if let Some(total) = &mut self.total {
            *total = (*total).max(nano(seed.total));
        }
    }

    pub fn seed(&mut self, caps: &Caps, seed: &Seed, now: u64) {
        let now = self.advance(now);
        for (index, (_, span)) in WINDOWS.iter().enumerate() {
            if caps.windows[index].is_none() || self.windows[index].is_some() {
                continue;
            }
            let mut window = Window::new(Shape::of(*span), now);
            for past in seed.past(*span) {
                window.add_at(past.bucket, past.of(index));
            }
            self.windows[index] = Some(window);
        }
        if caps.total.is_some() {
            self.total.get_or_insert(nano(seed.total));
        }
    }

    /// All that is counted here: each window's number and buckets, and what was spent in all.
    pub fn counted(&mut self, now: u64) -> Counted {
        self.advance(now);
        let windows = self.windows.iter().enumerate();
        let windows = windows.filter_map(|(index, w)| Some((index, w.as_ref()?.used().collect())));
        (windows.collect(), self.total)
    }

    /// Lets go of what says nothing any more. Is there anything left?
    pub fn tidy(&mut self, now: u64) -> bool {
        self.advance(now);
        if self.held != Held::default() || self.windows.iter().flatten().any(|w| w.sum() > 0) {
            return true;
        }
        self.windows = Default::default();
        self.total.is_some_and(|spent| spent > 0)
    }
}
