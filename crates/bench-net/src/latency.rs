//! A histogram of latencies: fixed memory, 3 % wide buckets, so that recording costs nothing.

/// Buckets of each doubling.
const STEPS: usize = 32;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// Counts of durations in nanoseconds, by bucket.
pub(crate) struct Latencies {
    counts: Vec<u64>,
    total: u64,
    longest_ns: u64,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; bucket(u64::MAX) + 1], total: 0, longest_ns: 0 }
    }

    pub(crate) fn record(&mut self, duration_ns: u64) {
        self.counts[bucket(duration_ns)] += 1;
        self.total += 1;
        self.longest_ns = self.longest_ns.max(duration_ns);
    }

    pub(crate) fn count(&self) -> u64 {
        self.total
    }

    /// Microseconds within which `share` of the durations were: the upper end of the bucket.
    pub(crate) fn quantile_us(&self, share: f64) -> f64 {
        let rank = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank.max(1) {
                return upper_end_ns(index).min(self.longest_ns) as f64 / 1e3;
            }
        }
        0.0
    }

    /// The quantiles that the bench keeps, as a JSON object.
    pub(crate) fn as_json(&self) -> String {
        let named = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)];
        let fields = named.map(|(name, share)| format!("\"{name}\": {}", self.quantile_us(share)));
        format!("{{{}}}", fields.join(", "))
    }
}

/// The first `STEPS` durations have a bucket each; from there on each doubling has `STEPS` of them.
fn bucket(duration_ns: u64) -> usize {
    if duration_ns < STEPS as u64 {
        return duration_ns as usize;
    }
    let doublings = 63 - duration_ns.leading_zeros() - STEP_BITS;
    let step = (duration_ns >> doublings) as usize - STEPS;
    (doublings as usize + 1) * STEPS + step
}

fn upper_end_ns(index: usize) -> u64 {
    if index < STEPS {
        return index as u64;
    }
    let (doublings, step) = (index / STEPS - 1, index % STEPS);
    let end = ((STEPS + step + 1) as u128) << doublings;
    u64::try_from(end - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_ends_at_most_a_32nd_above_what_it_holds() {
        for duration in (0..200).chain([1_000, 65_535, 65_536, 1 << 40, u64::MAX]) {
            let end = upper_end_ns(bucket(duration));
            assert!(end >= duration && end - duration <= duration / 32, "{duration} {end}");
        }
    }

    #[test]
    fn quantiles_of_a_hundred_known_durations_are_theirs() {
        let mut latencies = Latencies::new();
        (1..=100).for_each(|number| latencies.record(number * 1000));
        assert!((latencies.quantile_us(0.5) - 50.0).abs() < 1.6);
        assert!((latencies.quantile_us(1.0) - 100.0).abs() < f64::EPSILON);
        assert_eq!(latencies.count(), 100);
    }
}
