//! Wall time as the logs and headers write it. Knows nothing of timeouts.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// Milliseconds since the Unix epoch.
pub fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Milliseconds of this process's own, steady time: for deadlines that live in an atomic.
pub fn steady_ms(at: Instant) -> u64 {
    at.saturating_duration_since(*START).as_millis() as u64
}

/// `2026-11-22T14:39:09.123Z`, in UTC.
pub fn rfc3339_ms(unix_ms: u64) -> String {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000)
        .ok()
        .and_then(|at| at.format(format).ok())
        .unwrap_or_default()
}

/// Reads an RFC 3339 time as it stands in a config; `None` when it is none.
pub fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read_in_utc() {
        assert_eq!(rfc3339_ms(1_795_358_349_123), "2026-11-22T14:39:09.123Z");
        let read = parse_rfc3339("2027-01-01T00:00:00Z").expect("a valid time");
        assert_eq!(
            read.duration_since(UNIX_EPOCH)
                .expect("after 1970")
                .as_secs(),
            1_798_761_600
        );
        assert!(parse_rfc3339("tomorrow").is_none());
    }
}
