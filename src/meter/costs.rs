//! Sums of money as a metric. They are kept exactly; only what a scrape shows is a float.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, Opts};

use crate::base::Usd;

/// The labels of one sum.
type Names = [String; 4];

/// One family of sums.
#[derive(Clone)]
pub struct Costs {
    sums: Arc<Mutex<HashMap<Names, Cost>>>,
    shown: CounterVec,
}

/// The sum of one series.
#[derive(Clone, Debug, Default)]
pub struct Cost(Arc<Mutex<Usd>>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks can panic half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cost {
    pub fn add(&self, cost: Usd) {
        *lock(&self.0) += cost;
    }
}

impl Costs {
    pub fn register(name: &str, help: &str, labels: &[&str; 4]) -> prometheus::Result<Self> {
        let costs = Self {
            sums: Arc::default(),
            shown: CounterVec::new(Opts::new(name, help), labels)?,
        };
        prometheus::register(Box::new(costs.clone()))?;
        Ok(costs)
    }

    pub fn of(&self, names: [&str; 4]) -> Cost {
        let names = names.map(str::to_owned);
        lock(&self.sums).entry(names).or_default().clone()
    }
}

impl Collector for Costs {
    fn desc(&self) -> Vec<&Desc> {
        self.shown.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Held to the end: two scrapes at once must not both add the difference.
        let sums = lock(&self.sums);
        for (names, cost) in sums.iter() {
            let shown = self.shown.with_label_values(names);
            let sum = lock(&cost.0).as_f64();
            shown.inc_by((sum - shown.get()).max(0.0));
        }
        self.shown.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_sums_of_a_picodollar_show_as_their_sum() {
        let costs = Costs::register("test_costs_total", "test", &["a", "b", "c", "d"])
            .expect("a name of its own");
        let cost = costs.of(["1", "2", "3", "4"]);
        for _ in 0..1_000_000 {
            cost.add(Usd::from_pico(1));
        }
        costs
            .of(["1", "2", "3", "4"])
            .add(Usd::from_pico(1_000_000_000_000));
        let shown = |costs: &Costs| costs.collect()[0].get_metric()[0].get_counter().value();
        assert!((shown(&costs) - 1.000_001).abs() < 1e-15);
        assert!(
            (shown(&costs) - 1.000_001).abs() < 1e-15,
            "a second look changes nothing"
        );
    }
}
