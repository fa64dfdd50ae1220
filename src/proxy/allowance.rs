//! What a request may use up, before anybody is asked: reserved with the limits of its key, and settled with what it
//! truly used. A key without limits costs a look.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora_core::Result;
use pingora_http::ResponseHeader;

use super::exchange::{Asked, Exchange};
use crate::base::{Fault, Limits, Tier, Usd};
use crate::chat::{ServiceTier, count};
use crate::gate::limits::{Ask, Quota, Spend, Standing, Tokens};
use crate::meter::metrics;
use crate::route::Channel;

/// The answer of a model of which nothing is known is no longer.
const MAX_OUTPUT: u64 = 128_000;
/// About how many bytes of a body that is not read are a token.
const BYTES_PER_TOKEN: u64 = 3;
/// What a body of files is taken for at most: pictures and sound are not counted by their bytes.
const MAX_UNREAD: u64 = 100_000;

/// Lets the request in under the limits of its key, or says which one it would pass.
pub async fn admit(x: &mut Exchange, body: &Bytes) -> std::result::Result<(), Fault> {
    if std::mem::replace(&mut x.admitted, true) {
        return Ok(());
    }
    if let Some(inner) = &x.inner
        && let Some(reservation) = inner.take_reservation()
    {
        x.reservation = Some(reservation);
        return Ok(());
    }
    let Some(key) = x.key.clone() else {
        return Ok(());
    };
    if key.limits.are_none() {
        return Ok(());
    }
    let ask = ask(x, &key.limits, body);
    let admitted = x.world.limiter.admit(&key.account, &key.limits, &ask);
    match admitted.await {
        Ok((reservation, standing)) => {
            x.reservation = Some(reservation);
            x.standing = Some(Box::new(standing));
            Ok(())
        }
        Err(denied) => {
            x.admitted = false;
            metrics()
                .limit_rejections
                .with_label_values(&[&*key.name, denied.limit.name()])
                .inc();
            let fault = denied.fault(&key.name);
            x.standing = Some(Box::new(denied.standing));
            Err(fault)
        }
    }
}

/// The bounds of what the request can use.
fn ask(x: &Exchange, limits: &Limits, body: &Bytes) -> Ask {
    let (Some(asked), true) = (&x.asked, limits.tpm > 0 || limits.limit_spend()) else {
        return nothing();
    };
    if !asked.operation.spends_tokens() {
        return nothing();
    }
    let bound = Bound::of(asked, body);
    let spend = if limits.limit_spend() {
        spend(x, asked, &bound)
    } else {
        Spend::default()
    };
    Ask {
        tokens: Tokens {
            input: bound.input,
            output: bound.output.unwrap_or(MAX_OUTPUT),
            stated: bound.output.is_some(),
        },
        spend,
        counts: true,
    }
}

/// Only the request itself counts.
fn nothing() -> Ask {
    Ask {
        tokens: Tokens {
            stated: true,
            ..Tokens::default()
        },
        spend: Spend {
            most: Some(Usd::ZERO),
            least: Some(Usd::ZERO),
            stated: true,
        },
        counts: true,
    }
}

/// What a request says of its own size.
struct Bound {
    input: u64,
    /// `None`: the client set no end to the answer.
    output: Option<u64>,
    tier: Tier,
}

impl Bound {
    fn of(asked: &Asked, body: &Bytes) -> Self {
        if asked.operation.generates()
            && let Ok(request) = asked.operation.dialect().read_request(body, asked.stream)
        {
            let answers = u64::from(request.n.unwrap_or(1).max(1));
            return Self {
                // Vocabularies differ from the count here: it is to be no less than theirs.
                input: count::request(&request).saturating_mul(5) / 4 + 16,
                output: request.max_tokens.map(|most| most.saturating_mul(answers)),
                tier: match request.service_tier {
                    Some(ServiceTier::Priority) => Tier::Priority,
                    Some(_) | None => Tier::Standard,
                },
            };
        }
        let input = body.len() as u64 / BYTES_PER_TOKEN;
        let input = if asked.operation.has_output() {
            input.min(MAX_UNREAD)
        } else {
            input
        };
        Self {
            input,
            output: (!asked.operation.has_output()).then_some(0),
            tier: Tier::Standard,
        }
    }
}

/// What it costs at most, on the dearest channel that it may go to.
fn spend(x: &Exchange, asked: &Asked, bound: &Bound) -> Spend {
    let Some(key) = &x.key else {
        return Spend::default();
    };
    let group = &x.world.groups[key.group];
    let mut spend = Spend {
        most: None,
        least: None,
        stated: bound.output.is_some(),
    };
    let catalog = &x.world.config.catalog;
    for channel in group.channels() {
        let Some(model) = model_of(channel, asked).and_then(|id| catalog.find(&id)) else {
            continue;
        };
        let output = bound
            .output
            .unwrap_or_else(|| model.max_output.unwrap_or(MAX_OUTPUT));
        let most = model.cost_at_most(bound.input, output, bound.tier);
        let least = model.cost_at_most(bound.input, output.min(1), bound.tier);
        spend.most = spend.most.max(most);
        spend.least = spend.least.max(least);
    }
    spend
}

fn model_of(channel: &Channel, asked: &Asked) -> Option<String> {
    if !channel.serves_operation(asked.operation) {
        return None;
    }
    channel
        .route(&asked.target)
        .map(|routed| routed.model.into_owned())
}

const REQUESTS: [&str; 3] = [
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
];
const TOKENS: [&str; 3] = [
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
];

/// Where the key stands: in the place of what the provider says of its own account's limits.
pub fn headers(standing: Option<&Standing>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some(standing) = standing else {
        return headers;
    };
    for (names, quota) in [(REQUESTS, &standing.requests), (TOKENS, &standing.tokens)] {
        let Some(Quota {
            limit,
            remaining,
            reset,
        }) = quota
        else {
            continue;
        };
        let values = [limit.to_string(), remaining.to_string(), written(*reset)];
        for (name, value) in names.into_iter().zip(values) {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
    headers
}

/// The same in an answer of the gateway's own.
pub fn stand_in(head: &mut ResponseHeader, x: &Exchange) -> Result<()> {
    for (name, value) in &headers(x.standing.as_deref()) {
        head.insert_header(name, value)?;
    }
    Ok(())
}

/// `0s`, `12s`, `6m0s`, `2h0m5s`: whole seconds, rounded up, as the field writes them
/// (<https://platform.openai.com/docs/guides/rate-limits>).
fn written(time: Duration) -> String {
    let seconds = time.as_millis().div_ceil(1000);
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_whole_seconds_rounded_up() {
        for (ms, expected) in [
            (0, "0s"),
            (1, "1s"),
            (59_001, "1m0s"),
            (60_000, "1m0s"),
            (360_500, "6m1s"),
            (7_205_000, "2h0m5s"),
        ] {
            assert_eq!(written(Duration::from_millis(ms)), expected);
        }
    }
}
