//! A histogram of durations that takes no lock: every answer is counted in it, and the one of the library has a
//! mutex.

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The buckets' upper bounds, in microseconds. A known token takes a few; a key that is fetched, a second or so.
const BOUNDS: [u64; 10] = [10, 25, 50, 100, 250, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// See the module. Clones count into one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seconds(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// One for each of the bounds, and one for what is longer.
    counts: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Seconds {
    pub(crate) fn observe(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| bound * 1_000 < nanoseconds);
        if let Some(count) = self.0.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.0.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

impl EncodeMetric for Seconds {
    /// What is counted at this moment. Its sum may be an answer ahead of its buckets, or behind them.
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let bounds = BOUNDS.into_iter().map(|bound| Duration::from_micros(bound).as_secs_f64());
        let counts = self.0.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.chain([f64::INFINITY]).zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_nanos(self.0.nanoseconds.load(Ordering::Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;
    use prometheus_client::metrics::histogram::Histogram;
    use prometheus_client::registry::{Metric, Registry};

    #[test]
    fn it_counts_like_the_one_of_the_library() {
        fn text(metric: impl Metric) -> String {
            let (mut registry, mut text) = (Registry::default(), String::new());
            registry.register("seconds", "Seconds", metric);
            encode(&mut text, &registry).unwrap();
            text
        }
        let bounds = BOUNDS.map(|bound| Duration::from_micros(bound).as_secs_f64());
        let (ours, theirs) = (Seconds::default(), Histogram::new(bounds));
        for microseconds in
            [0, 9, 10, 11, 250, 251, 1_000_000, 10_000_000, 10_000_001, 3_600_000_000]
        {
            let took = Duration::from_micros(microseconds);
            ours.observe(took);
            theirs.observe(took.as_secs_f64());
        }
        assert_eq!(text(ours), text(theirs));
    }
}
