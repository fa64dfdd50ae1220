//! Random lives of a key against a reference that keeps every event and counts all of them again each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use torouter::base::{Limits, Usd};
use torouter::config::OnFailure;
use torouter::gate::limits::{Ask, Clock, Denied, Limiter, Reservation, Spend, Standing, Tokens};

use super::server::{Redis, ask};

const START: u64 = 1_795_358_349_123;
const MINUTE: u64 = 60_000;

/// A window: its name, the width of a bucket, the span, and which amount of an event it counts.
const WINDOWS: [(&str, u64, u64, usize); 9] = [
    ("rpm", 1000, MINUTE, 0),
    ("rp5h", 5 * MINUTE, 300 * MINUTE, 0),
    ("rpd", 30 * MINUTE, 1440 * MINUTE, 0),
    ("rp7d", 180 * MINUTE, 7 * 1440 * MINUTE, 0),
    ("tpm", 1000, MINUTE, 1),
    ("spend_usd_5h", 5 * MINUTE, 300 * MINUTE, 2),
    ("spend_usd_day", 30 * MINUTE, 1440 * MINUTE, 2),
    ("spend_usd_7d", 180 * MINUTE, 7 * 1440 * MINUTE, 2),
    ("spend_usd_30d", 720 * MINUTE, 30 * 1440 * MINUTE, 2),
];

#[derive(Clone, Debug)]
enum Step {
    Admit {
        limits: usize,
        ask: Ask,
    },
    Settle {
        which: usize,
        tokens: u64,
        nano: Option<u64>,
    },
    Drop {
        which: usize,
    },
    Pass {
        ms: u64,
    },
    Back {
        ms: u64,
    },
    /// As long as the last refusal said.
    Wait,
}

fn usd(nano: u64) -> Usd {
    Usd::from_pico(i128::from(nano) * 1000)
}

/// What was used or is held: requests, tokens, spend.
type Amounts = [u64; 3];

#[derive(Default)]
struct Reference {
    now: u64,
    events: Vec<(u64, Amounts)>,
    /// From which event on each window counts; the last is spend in all.
    opened: [Option<usize>; 10],
    held: Vec<Amounts>,
}

#[derive(Debug, PartialEq)]
struct Refusal {
    limit: &'static str,
    retry_ms: Option<u64>,
    too_large: bool,
    used_up: bool,
}

fn caps(limits: &Limits) -> [Option<u64>; 10] {
    let spend = |usd: Usd| (!usd.is_zero()).then_some((usd.pico() / 1000) as u64);
    let count = |count: u64| (count > 0).then_some(count);
    [
        count(limits.rpm),
        count(limits.rp5h),
        count(limits.rpd),
        count(limits.rp7d),
        count(limits.tpm),
        spend(limits.spend_usd_5h),
        spend(limits.spend_usd_day),
        spend(limits.spend_usd_7d),
        spend(limits.spend_usd_30d),
        spend(limits.spend_usd),
    ]
}

/// When what was used at a time leaves a window: when its bucket's end is a span ago.
fn leaves(window: usize, at: u64) -> u64 {
    let (_, step, span, _) = WINDOWS[window];
    (at / step + 1) * step + span
}

impl Reference {
    fn used(&self, window: usize, now: u64) -> u64 {
        let events = self.opened[window].map_or(&[][..], |from| &self.events[from..]);
        match WINDOWS.get(window) {
            Some((.., what)) => events
                .iter()
                .filter(|(at, _)| leaves(window, *at) > now)
                .map(|(_, amounts)| amounts[*what])
                .sum(),
            None => events.iter().map(|(_, amounts)| amounts[2]).sum(),
        }
    }

    fn held(&self, what: usize) -> u64 {
        self.held.iter().map(|amounts| amounts[what]).sum()
    }

    fn refusal(&self, window: usize, max: u64, need: u64, held: u64) -> Option<Refusal> {
        let used = self.used(window, self.now);
        if used + held + need <= max {
            return None;
        }
        let (too_large, used_up) = (need > max, need <= max && used + need > max);
        let mut times: Vec<u64> = if window < 9 {
            self.events
                .iter()
                .map(|(at, _)| leaves(window, *at))
                .collect()
        } else {
            vec![]
        };
        times.sort_unstable();
        let fits = |at: &u64| *at > self.now && self.used(window, *at) + need <= max;
        let retry_ms = match (too_large, used_up) {
            (true, _) => None,
            (_, true) => times.into_iter().find(fits).map(|at| at - self.now),
            _ => Some(1000),
        };
        let limit = WINDOWS.get(window).map_or("spend_usd", |window| window.0);
        Some(Refusal {
            limit,
            retry_ms,
            too_large,
            used_up,
        })
    }

    /// What is reserved, or each limit that is in the way, in order.
    fn check(&self, limits: &Limits, ask: &Ask) -> Result<Amounts, Vec<Refusal>> {
        let caps = caps(limits);
        let mut refusals = Vec::new();
        let plain = |limit, retry_ms| Refusal {
            limit,
            retry_ms,
            too_large: false,
            used_up: false,
        };
        if limits.limit_spend() && ask.spend.most.is_none() {
            refusals.push(plain("unpriced", None));
        }
        if ask.counts {
            if limits.max_in_flight > 0 && self.held(0) >= limits.max_in_flight {
                refusals.push(plain("max_in_flight", Some(1000)));
            }
            refusals.extend((0..4).filter_map(|w| self.refusal(w, caps[w]?, 1, 0)));
        }
        let (input, output) = (ask.tokens.input, ask.tokens.output);
        let tokens = if ask.tokens.stated {
            (input + output, input + output)
        } else {
            (input + output.min(2048), input + output.min(1))
        };
        let nano = |usd: Option<Usd>| usd.map_or(0, |usd| (usd.pico() as u64).div_ceil(1000));
        let spend = if ask.spend.stated {
            (nano(ask.spend.most), nano(ask.spend.most))
        } else {
            (nano(ask.spend.most), nano(ask.spend.least).max(1))
        };
        let mut reserve = |what: usize, windows: &[usize], (most, least): (u64, u64)| {
            let limited: Vec<_> = windows
                .iter()
                .filter_map(|w| Some((*w, caps[*w]?)))
                .collect();
            if most == 0 || limited.is_empty() {
                return 0;
            }
            let held = self.held(what);
            let fits = |need| {
                limited
                    .iter()
                    .all(|(w, max)| self.used(*w, self.now) + held + need <= *max)
            };
            if fits(most) {
                most
            } else if fits(least) {
                let left = limited
                    .iter()
                    .map(|(w, max)| max - self.used(*w, self.now) - held);
                left.min().expect("limited")
            } else {
                refusals.extend(
                    limited
                        .iter()
                        .filter_map(|(w, max)| self.refusal(*w, *max, least, held)),
                );
                0
            }
        };
        let tokens = reserve(1, &[4], tokens);
        let spend = reserve(2, &[9, 5, 6, 7, 8], spend);
        if refusals.is_empty() {
            Ok([ask.counts.into(), tokens, spend])
        } else {
            Err(refusals)
        }
    }

    fn admit(&mut self, limits: &Limits, ask: &Ask) -> Result<(), Refusal> {
        for (opened, cap) in self.opened.iter_mut().zip(caps(limits)) {
            if cap.is_some() {
                opened.get_or_insert(self.events.len());
            }
        }
        match self.check(limits, ask) {
            Ok(held) => {
                if ask.counts {
                    self.events.push((self.now, [1, 0, 0]));
                }
                self.held.push(held);
                Ok(())
            }
            Err(refusals) => {
                let lasts = |refusal: &Refusal| refusal.retry_ms.unwrap_or(u64::MAX);
                let longest = refusals.iter().map(lasts).max();
                let mut refusals = refusals.into_iter();
                Err(refusals.find(|r| Some(lasts(r)) == longest).expect("one"))
            }
        }
    }

    fn standing(&self, limits: &Limits) -> [Option<(u64, u64, u64)>; 2] {
        let caps = caps(limits);
        let quota = |w: usize, held: u64| {
            let max = caps[w]?;
            let counted = self.opened[w].map_or(&[][..], |from| &self.events[from..]);
            let newest = counted
                .iter()
                .filter(|(_, amounts)| amounts[WINDOWS[w].3] > 0);
            let newest = newest.map(|(at, _)| leaves(w, *at)).max().unwrap_or(0);
            let newest = if held > 0 {
                leaves(w, self.now)
            } else {
                newest
            };
            let remaining = max.saturating_sub(self.used(w, self.now) + held);
            Some((max, remaining, newest.saturating_sub(self.now)))
        };
        let requests = (0..4).filter_map(|w| quota(w, 0));
        let mut tightest: Option<(u64, u64, u64)> = None;
        for (max, remaining, reset) in requests {
            if tightest.is_none_or(|(_, least, longest)| {
                remaining < least || remaining == least && reset > longest
            }) {
                tightest = Some((max, remaining, reset));
            }
        }
        [tightest, quota(4, self.held(1))]
    }
}

fn numbers(standing: Standing) -> [Option<(u64, u64, u64)>; 2] {
    [standing.requests, standing.tokens]
        .map(|quota| quota.map(|q| (q.limit, q.remaining, q.reset.as_millis() as u64)))
}

fn refusal(denied: &Denied) -> Refusal {
    Refusal {
        limit: denied.limit.name(),
        retry_ms: denied.retry_after.map(|wait| wait.as_millis() as u64),
        too_large: denied.too_large,
        used_up: denied.used_up,
    }
}

/// A refusal's word is true: with nothing under way, there is room when it says, and none just before.
fn is_true(
    reference: &mut Reference,
    limits: &Limits,
    ask: &Ask,
    wait: u64,
) -> Result<(), TestCaseError> {
    let now = reference.now;
    for (at, room) in [(now + wait, true), (now + wait - 1, false)] {
        reference.now = at;
        prop_assert_eq!(
            reference.check(limits, ask).is_ok(),
            room,
            "at {}",
            at - now
        );
    }
    reference.now = now;
    Ok(())
}

async fn live(
    limiter: Arc<Limiter>,
    clock: &AtomicU64,
    choices: &[Limits],
    steps: Vec<Step>,
) -> Result<(), TestCaseError> {
    let mut reference = Reference::default();
    // An account that is idle for long is let go of, with the memory of which spans were limited; the reference forgets
    // nothing. Who holds something is not idle.
    let anyone = Limits {
        max_in_flight: 1000,
        ..Limits::default()
    };
    let nothing = Ask {
        counts: false,
        ..ask(0, 0, true, 0)
    };
    let anchor = limiter.admit("key_a", &anyone, &nothing).await;
    prop_assert!(anchor.is_ok());
    reference.now = clock.load(Ordering::Relaxed);
    let mut held: Vec<Reservation> = Vec::new();
    let mut wait = 0;
    for step in steps {
        match step {
            Step::Pass { ms } => drop(clock.fetch_add(ms, Ordering::Relaxed)),
            // By less than would be a clock that was set back.
            Step::Back { ms } => {
                let now = clock.load(Ordering::Relaxed);
                let back = (now - ms).max(reference.now.saturating_sub(9000)).min(now);
                clock.store(back, Ordering::Relaxed);
            }
            Step::Wait => drop(clock.fetch_add(wait, Ordering::Relaxed)),
            Step::Admit { limits, ask } => {
                let limits = &choices[limits % choices.len()];
                let answer = limiter.admit("key_a", limits, &ask).await;
                if limits.are_none() {
                    prop_assert!(answer.is_ok());
                    continue;
                }
                reference.now = reference.now.max(clock.load(Ordering::Relaxed));
                let expected = reference.admit(limits, &ask);
                let standing = match answer {
                    Ok((reservation, standing)) => {
                        prop_assert_eq!(expected, Ok(()));
                        held.push(reservation);
                        standing
                    }
                    Err(denied) => {
                        prop_assert_eq!(Err(refusal(&denied)), expected);
                        if let Some(ms) = refusal(&denied).retry_ms
                            && held.is_empty()
                        {
                            is_true(&mut reference, limits, &ask, ms)?;
                            wait = ms;
                        }
                        denied.standing
                    }
                };
                prop_assert_eq!(numbers(standing), reference.standing(limits));
            }
            Step::Settle {
                which,
                tokens,
                nano,
            } if !held.is_empty() => {
                let which = which % held.len();
                reference.now = reference.now.max(clock.load(Ordering::Relaxed));
                held.remove(which).settle(tokens, nano.map(usd));
                limiter.flush().await;
                let reserved = reference.held.remove(which);
                reference
                    .events
                    .push((reference.now, [0, tokens, nano.unwrap_or(reserved[2])]));
            }
            Step::Drop { which } if !held.is_empty() => {
                let which = which % held.len();
                reference.now = reference.now.max(clock.load(Ordering::Relaxed));
                drop(held.remove(which));
                limiter.flush().await;
                reference.held.remove(which);
            }
            Step::Settle { .. } | Step::Drop { .. } => {}
        }
    }
    Ok(())
}

fn limits() -> impl Strategy<Value = Limits> {
    let count = |most: u64| prop_oneof![2 => Just(0), 3 => 1..most];
    let counts = (
        count(6),
        count(12),
        count(20),
        count(30),
        count(5000),
        count(4),
    );
    let spend = || prop_oneof![2 => Just(0_u64), 3 => 1_u64..40_000].prop_map(usd);
    (counts, (spend(), spend(), spend(), spend(), spend())).prop_map(|(counts, spends)| Limits {
        rpm: counts.0,
        rp5h: counts.1,
        rpd: counts.2,
        rp7d: counts.3,
        tpm: counts.4,
        max_in_flight: counts.5,
        spend_usd: spends.0,
        spend_usd_5h: spends.1,
        spend_usd_day: spends.2,
        spend_usd_7d: spends.3,
        spend_usd_30d: spends.4,
    })
}

fn asks() -> impl Strategy<Value = Ask> {
    let price =
        prop_oneof![1 => Just(None), 1 => Just(Some(0_u64)), 6 => (1_u64..9_000).prop_map(Some)];
    let tokens = (0_u64..1500, prop_oneof![1_u64..500, 0_u64..9000]);
    (tokens, any::<bool>(), price, prop::bool::weighted(0.9)).prop_map(
        |((input, output), stated, pico, counts)| {
            let usd = |tokens: u64| pico.map(|pico| Usd::from_pico(pico.into()).times(tokens));
            Ask {
                tokens: Tokens {
                    input,
                    output,
                    stated,
                },
                spend: Spend {
                    most: usd(input + output),
                    least: usd(input + output.min(1)),
                    stated,
                },
                counts,
            }
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let admit = (0..3_usize, asks()).prop_map(|(limits, ask)| Step::Admit { limits, ask });
    let nano = prop::option::weighted(0.8, 0_u64..20_000);
    let settle = (0..9_usize, 0_u64..4000, nano).prop_map(|(which, tokens, nano)| Step::Settle {
        which,
        tokens,
        nano,
    });
    let pass = prop_oneof![
        4 => 0..3000_u64,
        3 => 0..90 * 1000_u64,
        2 => 0..6 * 60 * MINUTE,
        1 => 0..9 * 1440 * MINUTE,
        1 => 0..40 * 1440 * MINUTE,
    ];
    let step = prop_oneof![
        8 => admit,
        4 => settle,
        2 => (0..9_usize).prop_map(|which| Step::Drop { which }),
        4 => pass.prop_map(|ms| Step::Pass { ms }),
        1 => (1..3000_u64).prop_map(|ms| Step::Back { ms }),
        2 => Just(Step::Wait),
    ];
    prop::collection::vec(step, 1..60)
}

fn check(cases: u32, limiter: impl Fn(Clock) -> Arc<Limiter>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(cases)
    });
    let lives = (prop::collection::vec(limits(), 1..4), steps());
    let result = runner.run(&lives, |(choices, steps)| {
        let now = Arc::new(AtomicU64::new(START));
        let limiter = limiter(Clock::Set(now.clone()));
        let life = live(limiter, &now, &choices, steps);
        runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(60), life)
                .await
                .expect("no hang")
        })
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn in_memory_each_answer_is_that_of_counting_everything_again() {
    check(600, Limiter::memory);
}

#[test]
fn in_redis_each_answer_is_that_of_counting_everything_again() {
    let redis = Redis::start();
    check(60, |clock| {
        redis.ask(&redis::cmd("FLUSHALL")).expect("an answer");
        redis.gateway(OnFailure::Deny, clock)
    });
}
