//! A window that slides over a span in buckets, and what stands in it. Knows neither what is counted nor the clock.

use crate::base::Span;

/// How a span is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The width of a bucket.
    pub step_ms: u64,
    /// How many make up the span. One more is looked at: the oldest leaves when its end is a span ago, so that what
    /// was used counts for a whole span at least.
    pub buckets: u64,
}

impl Shape {
    pub const fn of(span: Span) -> Self {
        const MINUTE: u64 = 60_000;
        let (step_ms, buckets) = match span {
            Span::Minute => (1000, 60),
            Span::FiveHours => (5 * MINUTE, 60),
            Span::Day => (30 * MINUTE, 48),
            Span::SevenDays => (180 * MINUTE, 56),
            Span::ThirtyDays => (720 * MINUTE, 60),
        };
        Self { step_ms, buckets }
    }

    /// When a bucket leaves, in Unix ms.
    fn leaves(self, bucket: u64) -> u64 {
        (bucket + 1 + self.buckets) * self.step_ms
    }
}

/// What was used in each bucket of the span that ends now.
#[derive(Clone, Debug)]
pub struct Window {
    shape: Shape,
    /// The latest bucket, counted from the Unix epoch.
    head: u64,
    sum: u64,
    /// A ring: a bucket stands at its number modulo the length.
    buckets: Box<[u64]>,
}

impl Window {
    pub fn new(shape: Shape, now: u64) -> Self {
        Self {
            shape,
            head: now / shape.step_ms,
            sum: 0,
            buckets: vec![0; shape.buckets as usize + 1].into(),
        }
    }

    pub fn sum(&self) -> u64 {
        self.sum
    }

    fn place(&self, bucket: u64) -> usize {
        (bucket % (self.shape.buckets + 1)) as usize
    }

    /// Lets go of what has left. Time that has stepped back stands still here.
    pub fn advance(&mut self, now: u64) {
        let to = now / self.shape.step_ms;
        if to <= self.head {
            return;
        }
        if self.sum > 0 {
            let passed = (to - self.head).min(self.shape.buckets + 1);
            for bucket in to + 1 - passed..=to {
                let place = self.place(bucket);
                self.sum -= std::mem::take(&mut self.buckets[place]);
            }
        }
        self.head = to;
    }

    /// The clock was wrong and has been set back: what stands here keeps its age.
    pub fn rebase(&mut self, now: u64) {
        let to = now / self.shape.step_ms;
        let turn =
            (self.place(self.head) + self.buckets.len() - self.place(to)) % self.buckets.len();
        self.buckets.rotate_left(turn);
        self.head = to;
    }

    pub fn add(&mut self, amount: u64) {
        self.add_at(self.head, amount);
    }

    /// Something that was used before. What is outside of the span is none.
    pub fn add_at(&mut self, bucket: u64, amount: u64) {
        let bucket = bucket.min(self.head);
        if bucket + self.shape.buckets < self.head {
            return;
        }
        // The sum is at most what a number holds, and so the buckets together.
        let amount = amount.min(u64::MAX - self.sum);
        self.sum += amount;
        let place = self.place(bucket);
        self.buckets[place] += amount;
    }

    /// What a bucket is known to hold at least.
    pub fn raise(&mut self, bucket: u64, amount: u64) {
        let bucket = bucket.min(self.head);
        if bucket + self.shape.buckets >= self.head {
            let known = self.buckets[self.place(bucket)];
            self.add_at(bucket, amount.saturating_sub(known));
        }
    }

    /// How long until so much has left, if nothing comes. `None`: there is not so much.
    pub fn frees(&self, amount: u64, now: u64) -> Option<u64> {
        let mut freed = 0;
        for bucket in self.head.saturating_sub(self.shape.buckets)..=self.head {
            freed += self.buckets[self.place(bucket)];
            if freed >= amount {
                return Some(self.shape.leaves(bucket).saturating_sub(now));
            }
        }
        None
    }

    /// What was used in which bucket, the oldest first.
    pub fn used(&self) -> impl Iterator<Item = (u64, u64)> {
        (self.head.saturating_sub(self.shape.buckets)..=self.head)
            .map(|bucket| (bucket, self.buckets[self.place(bucket)]))
            .filter(|(_, amount)| *amount > 0)
    }

    /// How long until all has left.
    pub fn resets(&self, now: u64) -> u64 {
        if self.sum == 0 {
            return 0;
        }
        (self.head.saturating_sub(self.shape.buckets)..=self.head)
            .rev()
            .find(|bucket| self.buckets[self.place(*bucket)] > 0)
            .map_or(0, |bucket| self.shape.leaves(bucket).saturating_sub(now))
    }

    /// How long until what is used now has left.
    pub fn whole(&self, now: u64) -> u64 {
        self.shape.leaves(self.head).saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape::of(Span::Minute);

    #[test]
    fn what_was_used_counts_for_a_whole_span_and_less_than_a_bucket_more() {
        for used in [60_000, 60_001, 60_500, 60_999] {
            let mut window = Window::new(SHAPE, used);
            window.add(3);
            for (later, sum) in [(59_999, 3), (60_000, 3), (61_000, 0)] {
                window.advance(used + later);
                assert_eq!(window.sum(), sum, "{used} + {later}");
            }
        }
    }

    #[test]
    fn a_window_says_to_the_millisecond_when_enough_has_left() {
        let mut window = Window::new(SHAPE, 100_200);
        window.add(2);
        window.advance(103_700);
        window.add(5);
        assert_eq!(window.frees(1, 103_700), Some(161_000 - 103_700));
        assert_eq!(window.frees(2, 103_700), Some(161_000 - 103_700));
        assert_eq!(window.frees(3, 103_700), Some(164_000 - 103_700));
        assert_eq!(window.frees(8, 103_700), None);
        assert_eq!(window.resets(103_700), 164_000 - 103_700);
        window.advance(160_999);
        assert_eq!(window.sum(), 7);
        window.advance(161_000);
        assert_eq!(window.sum(), 5);
        window.advance(164_000);
        assert_eq!((window.sum(), window.resets(164_000)), (0, 0));
    }

    #[test]
    fn a_long_silence_empties_a_window() {
        let mut window = Window::new(SHAPE, 5000);
        window.add(1);
        window.advance(5000 + 61_000);
        assert_eq!(window.sum(), 0);
        window.add(4);
        window.advance(1 << 50);
        assert_eq!(window.sum(), 0);
        assert!(window.buckets.iter().all(|amount| *amount == 0));
    }

    #[test]
    fn a_clock_that_steps_back_stands_still_and_one_set_back_keeps_ages() {
        let mut window = Window::new(SHAPE, 1_000_000);
        window.add(1);
        window.advance(1_030_000);
        window.add(2);
        window.advance(1_029_000);
        assert_eq!((window.sum(), window.head), (3, 1030));
        for now in [500_000, 1_017_000, 400] {
            let mut window = window.clone();
            window.rebase(now);
            assert_eq!(window.sum(), 3);
            window.advance(now / 1000 * 1000 + 31_000);
            assert_eq!(window.sum(), 2, "the first use is 61 s old");
            window.advance(now / 1000 * 1000 + 61_000);
            assert_eq!(window.sum(), 0);
        }
    }

    #[test]
    fn what_was_used_before_takes_its_place() {
        let mut window = Window::new(SHAPE, 1_000_000);
        for (bucket, amount) in [(939, 1), (940, 2), (999, 4), (1000, 8), (1007, 16)] {
            window.add_at(bucket, amount);
        }
        assert_eq!(window.sum(), 30);
        window.advance(1_001_000);
        assert_eq!(window.sum(), 28);
    }
}
