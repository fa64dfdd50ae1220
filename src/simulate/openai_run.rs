//! When the events of a background response happen.
//!
//! Nothing runs in the background: the moments are fixed at the beginning, and who asks is told how far it is by now.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::sign;

/// How long a background response is queued, and how long it takes in all unless it is a slow one.
const QUEUED_MS: u64 = 100;
const WHOLE_MS: u64 = 300;

/// Between the events of a slow answer, streamed or in the background.
pub(super) const SLOW_GAP_MS: u64 = 100;

/// `response.created` and `response.queued` come at once.
const AT_ONCE: usize = 2;

#[derive(Clone, Debug)]
pub(super) struct Run {
    started_ms: u64,
    step_ms: u64,
    events: usize,
    /// The moment of its cancellation; all clones learn of it.
    cancelled_ms: Arc<AtomicU64>,
}

impl Run {
    pub(super) fn begin(now_ms: u64, events: usize, slow: bool) -> Self {
        let steps = u64::try_from(events.saturating_sub(AT_ONCE + 1)).unwrap_or(u64::MAX);
        Run {
            started_ms: now_ms,
            step_ms: if slow {
                SLOW_GAP_MS
            } else {
                (WHOLE_MS - QUEUED_MS) / steps.max(1)
            },
            events,
            cancelled_ms: Arc::new(AtomicU64::new(u64::MAX)),
        }
    }

    /// When the event of this number happens; none after a cancellation.
    pub(super) fn due_ms(&self, at: usize) -> Option<u64> {
        let due = match at.checked_sub(AT_ONCE) {
            None => self.started_ms,
            Some(step) => {
                self.started_ms + QUEUED_MS + self.step_ms * u64::try_from(step).unwrap_or(0)
            }
        };
        (due < self.cancelled_ms.load(Ordering::Acquire)).then_some(due)
    }

    /// The state at a moment; none once it has run to its own end.
    pub(super) fn status(&self, now_ms: u64) -> Option<&'static str> {
        if self.is_cancelled() {
            return Some("cancelled");
        }
        let has_come = |at| self.due_ms(at).is_some_and(|due| due <= now_ms);
        if has_come(self.events.saturating_sub(1)) {
            None
        } else if has_come(AT_ONCE) {
            Some("in_progress")
        } else {
            Some("queued")
        }
    }

    /// Whether it is on its way at this moment.
    pub(super) fn is_open(&self, now_ms: u64) -> bool {
        matches!(self.status(now_ms), Some("queued" | "in_progress"))
    }

    /// Stops it where it is; one that has ended stays as it is.
    pub(super) fn cancel(&self, now_ms: u64) {
        if self.is_open(now_ms) {
            self.cancelled_ms.store(now_ms, Ordering::Release);
        }
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled_ms.load(Ordering::Acquire) != u64::MAX
    }

    /// How long until a moment.
    pub(super) fn left(due_ms: u64) -> std::time::Duration {
        std::time::Duration::from_millis(due_ms.saturating_sub(sign::now_ms()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_queued_then_in_progress_then_done() {
        let run = Run::begin(1000, 13, false);
        assert_eq!(run.status(1000), Some("queued"));
        assert_eq!(run.status(1100), Some("in_progress"));
        assert_eq!(run.status(1299), Some("in_progress"));
        assert_eq!(run.status(1300), None);
        run.cancel(1300);
        assert_eq!(run.status(1300), None);
    }

    #[test]
    fn a_cancelled_run_has_no_later_events() {
        let run = Run::begin(1000, 12, true);
        let seen_by_a_stream = run.clone();
        run.cancel(1150);
        assert_eq!(seen_by_a_stream.due_ms(2), Some(1100));
        assert_eq!(seen_by_a_stream.due_ms(3), None);
        assert_eq!(run.status(9000), Some("cancelled"));
    }
}
