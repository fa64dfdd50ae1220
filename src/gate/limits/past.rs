//! What keys have used before this process began, read from the store: so a restart forgives nothing.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Limiter, Past, Seed};
use crate::base::{Limits, Span, clock};
use crate::store::{Store, StoreError};

const SPANS: [Span; 5] = [
    Span::Minute,
    Span::FiveHours,
    Span::Day,
    Span::SevenDays,
    Span::ThirtyDays,
];

/// Does a key count anything over this span?
fn counts(limits: &Limits, span: Span) -> bool {
    let (requests, spend) = match span {
        Span::Minute => (limits.rpm.max(limits.tpm), None),
        Span::FiveHours => (limits.rp5h, Some(limits.spend_usd_5h)),
        Span::Day => (limits.rpd, Some(limits.spend_usd_day)),
        Span::SevenDays => (limits.rp7d, Some(limits.spend_usd_7d)),
        Span::ThirtyDays => (0, Some(limits.spend_usd_30d)),
    };
    requests > 0 || spend.is_some_and(|spend| !spend.is_zero())
}

/// Tells the limiter of these accounts. What it counts already stays as it is, unless it began before it could be told
/// (`late`): then it is brought up to what the store knows.
pub async fn seed(
    limiter: &Limiter,
    store: &Store,
    accounts: &[(Arc<str>, Limits)],
    late: bool,
) -> Result<(), StoreError> {
    let mut seeds: HashMap<&str, Seed> = accounts
        .iter()
        .map(|(account, _)| (&**account, Seed::default()))
        .collect();
    let now = clock::unix_ms();
    for span in SPANS {
        let ids: Vec<String> = accounts
            .iter()
            .filter(|(_, limits)| counts(limits, span))
            .map(|(account, _)| account.to_string())
            .collect();
        if ids.is_empty() {
            continue;
        }
        let (since, step) = (Seed::since(span, now), Seed::step_ms(span));
        let used = store
            .used(Some(ids), since.cast_signed(), step.cast_signed())
            .await?;
        for used in used {
            let Some(seed) = seeds.get_mut(&*used.key_id) else {
                continue;
            };
            let past = Past {
                bucket: used.bucket.max(0).cast_unsigned(),
                requests: used.requests.max(0).cast_unsigned(),
                tokens: used.tokens.max(0).cast_unsigned(),
                cost: used.cost,
            };
            seed.past_mut(span).push(past);
        }
    }
    if accounts
        .iter()
        .any(|(_, limits)| !limits.spend_usd.is_zero())
    {
        for (id, spent) in store.spent().await? {
            if let Some(seed) = seeds.get_mut(&*id) {
                seed.total = spent;
            }
        }
    }
    for (account, limits) in accounts {
        let seed = seeds.remove(&**account).unwrap_or_default();
        if late {
            limiter.catch_up(account, limits, &seed);
        }
        limiter.seed(account, limits, &seed).await;
    }
    Ok(())
}
